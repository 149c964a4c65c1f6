import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agents.play.arena import Arena
from agents.play.courses import play
from agents.play.game import PLAYER, SCENES, Game

LOOKS = 3
"""Of an episode of the toy task, after the glance."""


def finish_scene(game, place=(0.5, 0.5)):
    while not game.moment.course.over:
        assert game.look(game.moment.number, *place)


def play_all(game, place=(0.5, 0.5)):
    finish_scene(game, place)
    while game.next_scene(game.moment.number):
        finish_scene(game, place)
    return game.moment


def test_a_game_of_ten_scenes(arena):
    game = Game(arena)
    first = game.moment
    assert (first.scene, first.others, first.ended) == (1, (), False)
    assert [each.name for each in first.tallies] == [PLAYER, "random", "oracle"]
    last = play_all(game)
    assert last.ended and last.scene == SCENES == 10
    assert last.number == SCENES * LOOKS + SCENES - 1
    yours, random, oracle = last.tallies
    assert all(len(each.right) == len(each.returns) == SCENES for each in last.tallies)
    assert oracle.right == (True,) * SCENES
    assert oracle.mean_return > max(yours.mean_return, random.mean_return)
    assert not game.look(last.number, 0.5, 0.5) and not game.next_scene(last.number)
    assert game.moment is last
    assert (first.scene, first.course.looks) == (1, 1)  # a moment never changes


def test_scores_are_those_of_the_courses(arena):
    game = Game(arena)
    finish_scene(game)
    now = game.moment
    played = [
        now.course,
        *(play(arena.task, each.policy, game.indices[0]) for each in arena.opponents),
    ]
    assert now.tallies[2].returns == (pytest.approx(played[2].total),)
    assert now.tallies[0].returns == (now.course.total,)
    assert now.tallies[0].right == (now.course.correct,)
    assert len(now.others) == 2 and all(each.over for each in now.others)


def test_the_same_number_has_the_same_scenes(arena):
    indices = [Game(arena, number).indices for number in (1, 1, 2)]
    assert indices[0] == indices[1] != indices[2]
    assert len(set(indices[0])) == SCENES
    with pytest.raises(ValueError, match="0 or more, got -1"):
        Game(arena, -1)


def test_a_late_click_is_ignored(arena):
    game = Game(arena)
    assert game.look(0, 0.2, 0.2)
    assert not game.look(0, 0.8, 0.8)
    assert not game.next_scene(game.moment.number)  # the scene is not over
    assert game.moment.number == 1 and game.moment.course.looks == 2
    finish_scene(game)
    seen = game.moment.number
    assert not game.look(seen, 0.5, 0.5)
    assert game.next_scene(seen) and not game.next_scene(seen)
    assert game.moment.scene == 2 and game.moment.course.looks == 1


def test_a_refused_place_leaves_the_game_as_it_was(arena):
    game = Game(arena)
    with pytest.raises(ValueError, match="a row and a column"):
        game.look(0, float("nan"), 0.5)
    assert game.moment.number == 0 and game.look(0, 0.5, 0.5)


def test_of_many_clicks_at_once_one_counts(arena):
    game, together = Game(arena), threading.Barrier(8)

    def click(number):
        together.wait()
        return game.look(0, number / 8, 0.5)

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(click, range(8)))
    assert sum(taken) == 1 and game.moment.number == 1
    row, _ = game.moment.course.corners(arena.task.network.config)[0]
    lone = Game(arena)
    lone.look(0, taken.index(True) / 8, 0.5)
    assert lone.moment.course.corners(arena.task.network.config)[0][0] == row


def test_two_players_at_once_share_nothing_but_the_arena(arena):
    places = [(0.1, 0.1), (0.5, 0.5), (0.9, 0.4), (0.3, 0.8)]
    alone = [play_all(Game(Arena(arena.task, arena.opponents), 4), place) for place in places]
    games = [Game(arena, 4) for _ in places]
    with ThreadPoolExecutor(len(places)) as pool:
        together = list(pool.map(play_all, games, places))
    for one, other in zip(alone, together, strict=True):
        assert one.tallies[0].right == other.tallies[0].right
        np.testing.assert_allclose(one.tallies[0].returns, other.tallies[0].returns, atol=1e-6)
        # random patches go on from scene to scene
        assert one.tallies[2] == other.tallies[2]


def test_hints_see_no_labels(arena):
    game = Game(arena)
    heat = arena.hint("random", game.moment.course)
    assert heat.shape == (32, 32)
    for name in ("oracle", "nobody"):
        with pytest.raises(ValueError, match=r"choose one of \['random'\]"):
            arena.hint(name, game.moment.course)
