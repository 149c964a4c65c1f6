"""The toy task with somebody to play against."""

import pytest

from agents import GreedyOracle, RandomPolicy
from agents.play.arena import Arena, Opponent


@pytest.fixture
def arena(target_task):
    opponents = [Opponent("random", RandomPolicy()), Opponent("oracle", GreedyOracle(4))]
    return Arena(target_task, opponents, goal="Find the pixel.")
