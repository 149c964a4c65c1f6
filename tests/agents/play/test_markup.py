import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from agents import RandomPolicy
from agents.play import markup, pictures
from agents.play.arena import Arena, Opponent
from agents.play.game import Game
from gf_env.envs.make_task import make_task
from gf_env.envs.rendering import PATCH_COLOURS


def pixels_of(picture):
    return np.asarray(picture).astype(int)


def shown(markup_of_image):
    data = re.search(r'src="data:image/png;base64,([^"]+)"', markup_of_image)[1]
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def game():
    task = make_task(split="test")
    return Game(Arena(task, [Opponent("<b>rival</b>", RandomPolicy())]), scenes=2)


def test_a_player_sees_the_glance_until_the_scene_is_over(game):
    task = game.arena.task
    view = pixels_of(pictures.draw_view(task, game.moment.course))
    blocks = view.reshape(24, 24, 24, 24, 3)  # an enlarged pixel of the glance is 24 wide
    assert (blocks == blocks[:, :1, :, :1]).all()
    glance = task.network.normalise.undo(task.network.small(task.dataset.images([game.indices[0]])))
    np.testing.assert_allclose(blocks[:, 0, :, 0, 0], glance[0, 0].numpy(), atol=1)


def test_patches_are_seen_in_their_places(game):
    task = game.arena.task
    game.look(0, 0.5, 0.25)
    view = pixels_of(pictures.draw_view(task, game.moment.course))
    scene = task.dataset.images([game.indices[0]])[0, 0].numpy()
    within = slice(4, 20)  # of the patch, clear of its outline and number
    seen = view[36 * 6 : 60 * 6 : 6, 12 * 6 : 36 * 6 : 6, 0]
    np.testing.assert_array_equal(seen[within, within], scene[36:60, 12:36][within, within])
    assert tuple(view[36 * 6, 12 * 6 + 60]) == PATCH_COLOURS[0]


def test_heat_is_where_the_look_would_be(game):
    task, heat = game.arena.task, np.zeros((96, 96), np.float32)
    cold = pixels_of(pictures.draw_view(task, game.moment.course, heat))
    heat[:24, :24] = 0.3
    warm = pixels_of(pictures.draw_view(task, game.moment.course, heat))
    changed = (cold != warm).any(axis=2)
    assert changed[:144, :144].all() and changed.sum() == 144 * 144


def test_the_page_of_each_moment(game):
    task = game.arena.task
    drawn = markup.draw(game, game.moment, hint=None)
    assert 'data-moment="0"' in drawn.view and "frame" in drawn.view
    assert shown(drawn.view).size == (pictures.VIEW, pictures.VIEW)
    assert "scene 1 of 2" in drawn.heading and drawn.comparison == ""
    assert drawn.bars.count('class="bar"') == 10 and "true" not in drawn.bars
    assert "4 looks left" in drawn.verdict and "look 1: the glance" in drawn.newest
    hinted = markup.draw(game, game.moment, hint="<b>rival</b>")
    assert hinted.view != drawn.view and hinted._replace(view=drawn.view) == drawn
    while not game.moment.course.over:
        game.look(game.moment.number, 0.5, 0.5)
    drawn = markup.draw(game, game.moment, hint="<b>rival</b>")
    course = game.moment.course
    assert "frame" not in drawn.view and 'data-moment="4"' in drawn.view
    assert drawn.bars.count('class="bar true"') == 1
    assert f"It was <b>{task.network.config.classes[course.label]}</b>" in drawn.verdict
    assert drawn.rewards.count("chip") == 4 and f"return {course.total:+.2f}"[:8] in drawn.rewards
    assert "&lt;b&gt;rival" in drawn.comparison and "<b>rival" not in drawn.comparison
    assert drawn.scores.count("✓") + drawn.scores.count("✗") == 2


def test_the_end_says_who_was_right(game):
    for _ in range(2):
        while not game.moment.course.over:
            game.look(game.moment.number, 0.5, 0.5)
        game.next_scene(game.moment.number)
    right = [sum(each.right) for each in game.moment.tallies]
    heading = markup.draw(game, game.moment, hint=None).heading
    assert f"Game over: {right[0]} of 2 right (&lt;b&gt;rival&lt;/b&gt; {right[1]})" in heading


@pytest.mark.parametrize("value, text", [(-0.001, "+0.00"), (-0.25, "\u22120.25"), (0.5, "+0.50")])
def test_numbers_have_signs(value, text):
    assert markup.signed(value) == text
