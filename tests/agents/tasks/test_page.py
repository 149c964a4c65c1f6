"""docs/TASKS.md is what `gf-env tasks` makes of the committed measurements."""

from PIL import Image

from agents.tasks.page import ASKED, make_page
from agents.tasks.pictures import draw_episode, draw_scenes
from gf_env.builtin_tasks import BUILTIN_TASKS
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"


def test_the_page_is_of_todays_measurements():
    assert list(ASKED) == list(BUILTIN_TASKS)
    assert (DOCS / "TASKS.md").read_text() == make_page(DOCS)


def test_pictures(tmp_path):
    draw_scenes(tmp_path / "scenes.png", "signposts")
    draw_episode(tmp_path / "episode.gif", "signposts")
    with (
        Image.open(tmp_path / "scenes.png") as picture,
        Image.open(DOCS / "tasks" / "signposts.png") as committed,
    ):
        assert picture.size == committed.size
    with Image.open(tmp_path / "episode.gif") as episode:
        assert episode.n_frames == 3  # the glance, the sign, the digit
