"""The page: what is thin about it stays thin, since all that a game is lives in `agents.play.game`.

Each visitor has a game of their own, made when the page is loaded. An address says which scenes it
has (`/?task=signposts&level=easy&game=3`), so that a class can play the same ones. Everything comes
from this machine: no fonts, scripts or statistics from elsewhere.
"""

from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from nicegui import events, run, ui

from agents.play.game import Game
from agents.play.markup import draw
from agents.play.opponents import Arenas
from gf_env.builtin_tasks import BUILTIN_TASKS, DEFAULT_TASK, LEVELS

TITLE = "Where to look next"
NO_HINT = "no hint"
_PATIENCE = 120.0
"""Seconds: a busy machine may take so long to make a task's scenes when it is first asked for them,
and the game of whoever is cut off is kept as long."""
_STYLE = Path(__file__).with_name("page.css")

# where in the picture of which moment: what has changed since then ignores the click
_CLICK = """(event) => {
  const scene = event.target.closest('[data-moment]');
  if (!scene) return;
  const box = scene.getBoundingClientRect();
  emit(Number(scene.dataset.moment), (event.clientY - box.top) / box.height,
       (event.clientX - box.left) / box.width);
}"""
# moves the frame of the patch that a click would show; within the image, as the patch is
_HOVER = """(event) => {
  const scene = event.target.closest('[data-moment]');
  const frame = scene && scene.querySelector('.frame');
  if (!frame) return;
  const box = scene.getBoundingClientRect();
  frame.style.display = 'block';
  const half = frame.offsetWidth / 2;
  const inside = (at, size) => Math.min(Math.max(at, half), size - half) + 'px';
  frame.style.left = inside(event.clientX - box.left, box.width);
  frame.style.top = inside(event.clientY - box.top, box.height);
}"""
_LEAVE = """(event) => {
  const frame = event.currentTarget.querySelector('.frame');
  if (frame) frame.style.display = 'none';
}"""


class Chosen(NamedTuple):
    """Which game; its fields are those of the page's address."""

    task: str = DEFAULT_TASK
    level: str = "default"
    game: int = 1


class GamePage:
    """One visitor's page.

    Args:
        game: the visitor's own.
        chosen: which.
    """

    def __init__(self, game: Game, chosen: Chosen) -> None:
        self._game = game
        self._hint: str | None = None
        self._drawings = 0
        self._add_choices(chosen)
        ui.label(game.arena.goal).classes("goal")
        for reason in game.arena.left_out:
            ui.label(f"Does not fit this task: {reason}").classes("note")
        with ui.element("div").classes("columns"):
            with ui.element("div").classes("card left"):
                self._view = _part("view")
                self._view.on("click", self._click, js_handler=_CLICK)
                self._view.on("mousemove", js_handler=_HOVER)
                self._view.on("mouseleave", js_handler=_LEAVE)
            with ui.element("div").classes("beside"):
                self._add_state(chosen)
        self._comparison = _part("card wide comparison")
        self._scores = _part("card wide scores")

    def _add_choices(self, chosen: Chosen) -> None:
        """Add the title, and what another game and a hint are chosen by."""
        hints = [each.name for each in self._game.arena.opponents if each.hints]
        with ui.row().classes("choices"):
            ui.html(f"<h1>{TITLE}</h1>")
            task = ui.select(list(BUILTIN_TASKS), value=chosen.task, label="task")
            task.on_value_change(lambda event: _open(chosen._replace(task=event.value)))
            level = ui.select(list(LEVELS), value=chosen.level, label="level")
            level.on_value_change(lambda event: _open(chosen._replace(level=event.value)))
            hint = ui.select([NO_HINT, *hints], value=NO_HINT, label="hint: where would it look?")
            hint.on_value_change(self._choose_hint).classes("hint")

    def _add_state(self, chosen: Chosen) -> None:
        """Add what stands beside the picture that is clicked on."""
        with ui.element("div").classes("card"):
            self._heading = _part("heading")
            self._verdict = _part("verdict")
            with ui.row().classes("buttons"):
                self._next = ui.button("next scene", on_click=self._go_on).classes("next")
                again = ui.button("another game").props("outline")
                again.on_click(lambda: _open(chosen._replace(game=chosen.game + 1)))
        with ui.element("div").classes("card newest"):
            self._newest = _part("look")
            self._rewards = _part("rewards")
        with ui.element("div").classes("card"):
            ui.html("<h2>What the network makes of it: probability of each class</h2>")
            self._bars = _part("bars")

    async def _click(self, event: events.GenericEventArguments) -> None:
        moment, row, col = event.args
        if await run.io_bound(self._game.look, int(moment), float(row), float(col)):
            await self.show()

    async def _go_on(self) -> None:
        if await run.io_bound(self._game.next_scene, self._game.moment.number):
            await self.show()

    async def _choose_hint(self, event: events.ValueChangeEventArguments) -> None:
        self._hint = None if event.value == NO_HINT else event.value
        await self.show()

    async def show(self) -> None:
        """Show the game as it is now; of several calls that overlap the last one counts."""
        self._drawings += 1
        drawing, moment = self._drawings, self._game.moment
        drawn = await run.io_bound(draw, self._game, moment, self._hint)
        if drawn is None or drawing != self._drawings:
            return
        for name, content in drawn._asdict().items():
            getattr(self, f"_{name}").set_content(content)
        self._comparison.set_visibility(moment.course.over)
        self._next.set_visibility(moment.course.over and not moment.ended)


def _part(classes: str) -> Any:
    """Add a part of the page whose HTML changes; all of it is made here, and escaped."""
    return ui.html("", sanitize=False).classes(classes)


def _open(chosen: Chosen) -> None:
    ui.navigate.to(f"/?{urlencode(chosen._asdict())}")


def serve(arenas: Arenas, first: Chosen, host: str, port: int, *, browser: bool) -> None:
    """Serve the page until the process is stopped.

    Args:
        arenas: of all games.
        first: the game where the address says nothing.
        host: the address that is listened on.
        port: likewise.
        browser: open the page in the user's browser.
    """

    async def index(
        task: str = first.task, level: str = first.level, game: int = first.game
    ) -> None:
        ui.add_css(_STYLE)
        chosen = Chosen(task, level, game)
        try:
            made = await run.io_bound(lambda: Game(arenas.get(task, level), game))
        except ValueError as error:
            ui.label(str(error)).classes("note")
            ui.link("Back to the first game", "/")
            return
        if made is not None:
            await GamePage(made, chosen).show()

    ui.page("/", title=TITLE, response_timeout=_PATIENCE)(index)
    ui.run(
        host=host,
        port=port,
        title=TITLE,
        show=browser,
        reload=False,
        reconnect_timeout=_PATIENCE,
        tailwind=False,
        favicon="👁",
        show_welcome_message=False,
    )
