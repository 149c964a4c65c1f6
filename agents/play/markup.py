"""The parts of the page as HTML: what a player looks at, probabilities, rewards, scores.

Nothing here knows of a web server. Text from outside is escaped.
"""

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from agents.play import pictures
from agents.play.courses import Course
from agents.play.game import PLAYER, Game, Moment
from gf_env.envs.rendering import FIRST_LOOK, patch_colour
from gf_env.envs.task import Task

LONGEST_NAME = 18
"""Letters of a class's name that are shown."""


class Drawn(NamedTuple):
    """What the page shows of a moment, as HTML."""

    view: str
    heading: str
    verdict: str
    newest: str
    rewards: str
    bars: str
    comparison: str
    scores: str


def draw(game: Game, moment: Moment, hint: str | None) -> Drawn:
    """Draw a moment of a game.

    Args:
        game: whose.
        moment: of it.
        hint: which opponent's next look is shown; None: no one's.
    """
    task, course, scenes = game.arena.task, moment.course, len(game.indices)
    if course.over:
        picture = pictures.draw_whole(task, course, pictures.VIEW)
    else:
        heat = None if hint is None else game.arena.hint(hint, course)
        picture = pictures.draw_view(task, course, heat)
    names = (PLAYER, *(each.name for each in game.arena.opponents))
    return Drawn(
        view(moment, picture, task.network.config.patch_size / task.network.config.image_size),
        heading(moment, game.number, scenes),
        verdict(task, moment),
        newest(course, pictures.draw_newest(task, course)),
        rewards(course),
        bars(task, course),
        comparison(task, names, (course, *moment.others)) if course.over else "",
        scores(moment, scenes),
    )


def view(moment: Moment, picture: Image.Image, patch_share: float) -> str:
    """Return the picture that is clicked on; it knows of which moment it is.

    Args:
        moment: of the game.
        picture: what was seen until then.
        patch_share: width of a patch as a share of the image's, for the frame under the pointer.
    """
    side = f"{100 * patch_share:.3f}%"
    frame = (
        ""
        if moment.course.over
        else f'<div class="frame" style="width:{side};height:{side}"></div>'
    )
    name = "the scene" if moment.course.over else "the glance and the patches looked at"
    kind = "scene over" if moment.course.over else "scene"
    return (
        f'<div class="{kind}" data-moment="{moment.number}">'
        f'<img src="{data_uri(picture)}" alt="{name}" draggable="false" '
        f'decoding="sync">{frame}</div>'
    )


def newest(course: Course, picture: Image.Image) -> str:
    """Return the newest look, enlarged, with its number."""
    looks = course.looks
    name = "look 1: the glance" if looks < FIRST_LOOK else f"look {looks}: the patch"
    return f'<figure><img src="{data_uri(picture)}" alt=""><figcaption>{name}</figcaption></figure>'


def rewards(course: Course) -> str:
    """Return the rewards of the looks so far, each in the colour of its patch, and the return."""
    chips = [
        f'<span class="chip"><b style="background:{_css(patch_colour(number))}">'
        f"{number + FIRST_LOOK}</b> {signed(reward)}</span>"
        for number, reward in enumerate(course.rewards)
    ]
    if not chips:
        return "<p>The reward of a look is how much more probable it makes the true class.</p>"
    return f'<p>{"".join(chips)} <span class="sum">return {signed(course.total)}</span></p>'


def bars(task: Task, course: Course) -> str:
    """Return a bar for the probability of each class; the true one is marked in the end."""
    values = course.probabilities().tolist()
    rows = []
    for number, (name, value) in enumerate(zip(task.network.config.classes, values, strict=True)):
        kind = "bar true" if course.over and number == course.label else "bar"
        rows.append(
            f'<div class="{kind}"><span>{_short(name)}</span>'
            f'<i><u style="width:{100 * value:.1f}%"></u></i><em>{value:.2f}</em></div>'
        )
    return "".join(rows)


def heading(moment: Moment, game: int, scenes: int) -> str:
    """Return which scene of which game it is; after the last one, who was right how often."""
    if not moment.ended:
        return f"<h2>Game {game}: scene {moment.scene} of {scenes}</h2>"
    yours, *others = moment.tallies
    theirs = ", ".join(f"{html.escape(each.name)} {sum(each.right)}" for each in others)
    return f"<h2>Game over: {sum(yours.right)} of {scenes} right ({theirs})</h2>"


def verdict(task: Task, moment: Moment) -> str:
    """Return in a sentence what the network makes of the scene."""
    classes, course = task.network.config.classes, moment.course
    guess = f"<b>{_short(classes[course.prediction])}</b>"
    probability = f"{course.probabilities().max():.2f}"
    if not course.over:
        left = task.rules.sequence_length - course.looks
        more = "1 look" if left == 1 else f"{left} looks"
        return f"The network guesses {guess} ({probability}). {more} left: click where to look."
    sign, kind = ("✓", "right") if course.correct else ("✗", "wrong")
    truth = f"<b>{_short(classes[course.label])}</b>"
    said = f'<span class="{kind}">the network says {guess} ({probability}) {sign}</span>'
    return f"It was {truth}; {said}"


def comparison(task: Task, names: Sequence[str], played: Sequence[Course]) -> str:
    """Return whole scenes side by side, with what each player's looks led to.

    Args:
        task: what is played.
        names: of the players.
        played: their courses on the same scene, all over.
    """
    figures = []
    for name, course in zip(names, played, strict=True):
        before, after = (course.probabilities(look)[course.label] for look in (0, -1))
        sign, kind = ("✓", "right") if course.correct else ("✗", "wrong")
        picture, who = data_uri(pictures.draw_whole(task, course)), html.escape(name)
        figures.append(
            f"<figure><figcaption><b>{who}</b></figcaption>"
            f'<img src="{picture}" alt="where {who} looked">'
            f'<figcaption class="{kind}">{before:.2f} → {after:.2f} {sign}</figcaption></figure>'
        )
    truth = _short(task.network.config.classes[played[0].label])
    title = (
        f"The same scene: probability of the true class, {truth}, after the glance and at the end"
    )
    return f'<h2>{title}</h2><div class="side-by-side">{"".join(figures)}</div>'


def scores(moment: Moment, scenes: int) -> str:
    """Return the table of scores: each scene, how many are right, and the mean return."""
    head = "".join(f"<th>{number}</th>" for number in range(1, scenes + 1))
    rows = []
    for tally in moment.tallies:
        marks = [
            f'<td class="{"right" if right else "wrong"}">{"✓" if right else "✗"}</td>'
            for right in tally.right
        ]
        marks += ["<td></td>"] * (scenes - len(marks))
        mean = signed(tally.mean_return) if tally.returns else ""
        kind = ' class="you"' if tally.name == PLAYER else ""
        rows.append(
            f"<tr{kind}><th>{html.escape(tally.name)}</th>{''.join(marks)}"
            f"<td><b>{sum(tally.right)}</b></td><td>{mean}</td></tr>"
        )
    return (
        f"<table><thead><tr><th>scene</th>{head}<th>right</th><th>mean return</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def data_uri(picture: Image.Image) -> str:
    """Return a picture as the address of itself, a PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; what rounds to 0 is `+0.00`."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")


def _short(name: str) -> str:
    kept = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return html.escape(kept)


def _css(colour: tuple[int, int, int]) -> str:
    return f"rgb{colour}"
