"""The toy task with somebody to play against."""

import pytest

from agents import RandomPolicy
from agents.play.arena import Arena, Opponent
from agents.play.courses import patch_around
from gf_env.envs.actions import Look


class PixelFinder:
    """Sees the one bright pixel, and looks at it."""

    def choose_looks(self, task, state, indices):
        config = task.network.config
        place = int(task.pixels(state)[0].argmax())
        row, col = divmod(place, config.image_size)
        return Look(patch_around(config, (row + 0.5) / 32, (col + 0.5) / 32))


@pytest.fixture
def arena(target_task):
    opponents = [Opponent("random", RandomPolicy()), Opponent("oracle", PixelFinder())]
    return Arena(target_task, opponents, goal="Find the pixel.")
