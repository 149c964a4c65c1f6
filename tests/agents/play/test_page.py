"""The page in a real browser, as players use it: `make test-page`."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from agents.play.game import SCENES, Game
from agents.play.markup import signed
from agents.play.opponents import Arenas

pytestmark = pytest.mark.page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PLACES = ((0.31, 0.27), (0.62, 0.66), (0.47, 0.17), (0.19, 0.83))
"""Where a player clicks, (row, col), clear of where a patch would start a pixel further on."""
PICTURE = os.environ.get("PICTURE")
"""Where the picture of the page goes; None: it is not kept."""


def free_port():
    with contextlib.closing(socket.socket()) as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The command serves the page there."""
    port, log = free_port(), tmp_path_factory.mktemp("page") / "log"
    command = [sys.executable, "-m", "gf_env", "play", "--no-browser", "--port", str(port)]
    # the server is no test, though a test started it
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=env)
    try:
        deadline = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}"):
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"no page: {log.read_text()}")
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        status = server.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()
    assert status in (0, 130), log.read_text()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        # in a container there is no sandbox; all pages are our own
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Player:
    """A visitor with a browser profile of their own."""

    def __init__(self, browser, port):
        self.address = f"http://127.0.0.1:{port}/"
        self.page = browser.new_context(viewport={"width": 1200, "height": 860}).new_page()
        self.asked, self.said = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda websocket: self.asked.append(websocket.url))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.said.append(message.text) if message.type == "error" else None,
        )

    def open(self, query=""):
        self.page.goto(self.address + query)
        self.page.wait_for_selector("[data-moment] img")
        return self

    @property
    def moment(self):
        return int(self.page.locator("[data-moment]").get_attribute("data-moment"))

    @property
    def over(self):
        return self.page.locator(".scene.over").count() == 1

    @property
    def rewards(self):
        return self.page.locator(".rewards .chip").count()

    def text(self, part):
        return self.page.locator(part).inner_text()

    def click(self, row, col):
        box = self.page.locator("[data-moment]").bounding_box()
        self.page.mouse.click(box["x"] + col * box["width"], box["y"] + row * box["height"])

    def look(self, row, col):
        before = self.moment
        self.click(row, col)
        self.wait_for(before + 1)

    def go_on(self):
        before = self.moment
        self.page.locator(".next").click()
        self.wait_for(before + 1)

    def wait_for(self, moment):
        self.page.wait_for_selector(f'[data-moment="{moment}"]')

    def scores(self):
        """The table: for each player the marks and, at last, how many are right and the return."""
        rows = self.page.locator(".scores tbody tr").all()
        return [row.locator("td").all_inner_texts() for row in rows]

    def picture(self):
        return self.page.locator("[data-moment] img").get_attribute("src")


@pytest.fixture
def player(browser, port):
    """Makes players; in the end none may have been told of an error, or have asked elsewhere."""
    players = []

    def make():
        players.append(Player(browser, port))
        return players[-1]

    yield make
    for each in players:
        assert each.said == []
        local = (each.address, each.address.replace("http", "ws"), "data:", "blob:")
        assert [url for url in each.asked if not url.startswith(local)] == []
        each.page.context.close()


@pytest.fixture(scope="module")
def arenas():
    return Arenas()


def expected(arena, number, places, scenes=SCENES):
    """The table of scores after a game without a page."""
    game = Game(arena, number)
    for scene in range(scenes):
        if scene:
            game.next_scene(game.moment.number)
        for row, col in places[: arena.task.rules.sequence_length - 1]:
            game.look(game.moment.number, row, col)
    rows = []
    for each in game.moment.tallies:
        marks = ["✓" if right else "✗" for right in each.right] + [""] * (SCENES - scenes)
        rows.append([*marks, str(sum(each.right)), signed(each.mean_return)])
    return rows


def test_a_whole_game_of_ten_scenes(player, arenas):
    anna = player().open()
    for scene in range(1, SCENES + 1):
        assert f"scene {scene} of {SCENES}" in anna.text(".heading")
        for number, place in enumerate(PLACES, start=1):
            assert anna.rewards == number - 1 and not anna.over
            assert anna.page.locator(".bar").count() == 10
            assert anna.page.locator(".bar.true").count() == 0
            anna.look(*place)
        assert anna.over and anna.rewards == 4
        assert anna.page.locator(".bar.true").count() == 1
        assert anna.page.locator(".comparison img").count() == 4
        if scene == 3 and PICTURE:
            anna.page.mouse.move(5, 5)
            anna.page.screenshot(path=PICTURE, full_page=True)
        if scene < SCENES:
            anna.go_on()
    assert "Game over" in anna.text(".heading")
    assert not anna.page.locator(".next").is_visible()
    assert anna.scores() == expected(arenas.get("cluttered-digits", "default"), 1, PLACES)


def test_two_players_do_not_share_a_game(player, arenas):
    anna, ben = player().open(), player().open()
    others = PLACES[::-1]
    for scene in range(2):
        for hers, his in zip(PLACES, others, strict=True):
            before = ben.moment
            anna.look(*hers)
            assert ben.moment == before
            ben.look(*his)
        assert anna.over and ben.over and anna.picture() != ben.picture()
        if not scene:
            anna.go_on()
            assert ben.over
            ben.go_on()
    arena = arenas.get("cluttered-digits", "default")
    assert anna.scores() == expected(arena, 1, PLACES, 2)
    assert ben.scores() == expected(arena, 1, others, 2)


RECORD = """() => {
  window.clicks = [];
  document.addEventListener('click', (event) => {
    const scene = event.target.closest('[data-moment]');
    if (!scene) return;
    const box = scene.getBoundingClientRect();
    window.clicks.push([Number(scene.dataset.moment), (event.clientY - box.top) / box.height,
                        (event.clientX - box.left) / box.width]);
  }, true);
}"""


def test_twenty_clicks_a_second(player, arenas):
    anna, ben = player().open(), player().open()
    anna.page.evaluate(RECORD)
    box = anna.page.locator("[data-moment]").bounding_box()
    began = time.monotonic()
    for number in range(60):
        x, y = number % 10 / 10 + 0.05, number % 7 / 7 + 0.05
        anna.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        time.sleep(max(0.0, began + (number + 1) / 20 - time.monotonic()))
    anna.wait_for(4)  # whatever came after the last look is ignored
    assert anna.over and anna.rewards == 4 and ben.moment == 0
    game, clicks = Game(arenas.get("cluttered-digits", "default"), 1), anna.page.evaluate("clicks")
    assert len(clicks) == 60
    assert sum(game.look(*click) for click in clicks) == 4
    yours = game.moment.tallies[0]
    assert anna.scores()[0][-1] == signed(yours.mean_return)
    anna.page.evaluate("for (let k = 0; k < 20; k++) document.querySelector('.next').click()")
    anna.wait_for(5)
    anna.page.wait_for_timeout(500)
    assert "scene 2 of 10" in anna.text(".heading") and (anna.moment, anna.rewards) == (5, 0)
    for place in PLACES:
        anna.look(*place)
    assert anna.over and anna.moment == 9


def test_a_double_click_is_one_look(player):
    anna = player().open()
    anna.page.evaluate(
        """() => {
          const scene = document.querySelector('[data-moment]');
          const box = scene.getBoundingClientRect();
          for (const at of [0.3, 0.6, 0.8]) scene.dispatchEvent(new MouseEvent('click', {
            bubbles: true, clientX: box.left + at * box.width, clientY: box.top + box.height / 2,
          }));
        }"""
    )
    anna.wait_for(1)
    anna.page.wait_for_timeout(500)
    assert anna.moment == 1 and anna.rewards == 1


def choose(player, label, option):
    player.page.locator(".q-select", has_text=label).click()
    player.page.locator(".q-item", has_text=option).first.click()


def test_hints_come_and_go(player):
    anna = player().open()
    plain = anna.picture()
    shown = {plain}
    for name in ("paper's policy", "search with a belief"):
        choose(anna, "hint", name)
        anna.page.wait_for_function(
            "old => !old.includes(document.querySelector('[data-moment] img').src)", arg=[*shown]
        )
        shown.add(anna.picture())
    assert len(shown) == 3 and anna.moment == 0
    choose(anna, "hint", "no hint")
    anna.page.wait_for_function(
        "old => document.querySelector('[data-moment] img').src == old", arg=plain
    )


def test_task_level_and_game_are_chosen(player, arenas):
    anna = player().open("?game=7")
    choose(anna, "task", "signposts")
    anna.page.wait_for_url("**task=signposts&level=default&game=7")
    choose(anna, "level", "easy")
    anna.page.wait_for_url("**level=easy&game=7")
    anna.page.wait_for_selector("[data-moment] img")
    assert "Read the white sign" in anna.text(".goal")
    for place in PLACES[:2]:
        anna.look(*place)
    assert anna.over
    assert anna.scores() == expected(arenas.get("signposts", "easy"), 7, PLACES, 1)
    anna.page.locator("button", has_text="another game").click()
    anna.page.wait_for_url("**level=easy&game=8")


@pytest.mark.parametrize(
    "query, message",
    [("?task=nothing", "unknown task"), ("?level=x", "unknown level"), ("?game=-1", "0 or more")],
)
def test_an_address_of_no_game_says_so(player, query, message):
    anna = player()
    anna.page.goto(anna.address + query)
    anna.page.get_by_text(message).wait_for()


def test_only_this_machine_gets_in(port):
    for host, opens in (("127.0.0.1", True), ("127.0.0.2", False)):
        with contextlib.closing(socket.socket()) as tried:
            assert (tried.connect_ex((host, port)) == 0) == opens
