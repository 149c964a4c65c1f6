"""The toy task in all its forms."""

import functools

import pytest

from gf_env.envs.make_task import make_task
from tests.agents.learners.toy import TaughtNetwork


@pytest.fixture(scope="session")
def toy(target_task):
    """Make the toy task with a grid size; episodes may end early, when the pixel was found.

    Or the agent may stop, and then looks may cost.
    """
    network = TaughtNetwork(target_task.network.config).eval()

    @functools.cache
    def make(grid_size=None, ends_early=False, stop=False, look_cost=0.0):
        exits = (2.0, 0.9, 0.9, 0.9) if ends_early else None
        return make_task(
            network=network,
            dataset=target_task.dataset,
            grid_size=grid_size,
            exit_thresholds=exits,
            stop=stop,
            look_cost=look_cost,
        )

    return make
