from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from gf_env.envs.actions import to_locations
from gf_env.policy import grid_size_of


@pytest.mark.parametrize(
    ("policy", "size"),
    [
        (SimpleNamespace(), None),
        (SimpleNamespace(grid_size=None), None),
        (SimpleNamespace(grid_size=5), 5),
        (SimpleNamespace(action_space=gymnasium.spaces.Discrete(49)), 7),
        (SimpleNamespace(action_space=gymnasium.spaces.Box(-1, 1, (2,))), None),
    ],
)
def test_what_a_policy_says_of_its_grid(policy, size):
    assert grid_size_of(policy) == size


def test_patches_that_are_no_square_grid():
    with pytest.raises(ValueError, match="n x n patches"):
        grid_size_of(SimpleNamespace(action_space=gymnasium.spaces.Discrete(48)))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([[0, np.nan], [0, 0], [np.nan, 0]], r"not be NaN, got .* in episode 0 and 2 of 3"),
        ([[0, 0], [0, 0]], r"shape \(3, 2\), got shape \(2, 2\)"),
        ([["a", "b"]] * 3, "got shape"),
    ],
)
def test_locations_that_cannot_be(actions, message):
    with pytest.raises(ValueError, match=message):
        to_locations(np.array(actions), 3, None, torch.device("cpu"))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 4, -1], r"\[0, 4\), got 4 in episode 1 and 2 of 3"),
        ([0.0, 1.0, 2.0], "integers"),
        ([0, 1], r"shape \(3,\), got shape \(2,\)"),
    ],
)
def test_indices_that_cannot_be(actions, message):
    grid = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=message):
        to_locations(np.array(actions), 3, grid, torch.device("cpu"))
