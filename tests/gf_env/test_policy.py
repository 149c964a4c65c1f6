from types import SimpleNamespace

import gymnasium
import pytest

from gf_env.policy import grid_size_of, observed_by

BOX = gymnasium.spaces.Box(-1, 1, (2,))


@pytest.mark.parametrize(
    ("policy", "given", "size"),
    [
        (SimpleNamespace(), None, None),
        (SimpleNamespace(), 3, 3),
        (SimpleNamespace(grid_size=None), None, None),
        (SimpleNamespace(grid_size=5), None, 5),
        (SimpleNamespace(grid_size=5), 3, 3),
        (SimpleNamespace(action_space=gymnasium.spaces.Discrete(49)), None, 7),
        (SimpleNamespace(action_space=BOX), None, None),
    ],
)
def test_what_a_policy_says_of_its_grid(policy, given, size):
    assert grid_size_of(policy, given) == size


def test_patches_that_are_no_square_grid():
    with pytest.raises(ValueError, match="n x n patches"):
        grid_size_of(SimpleNamespace(action_space=gymnasium.spaces.Discrete(48)))


@pytest.mark.parametrize(
    ("policy", "keys"),
    [
        (SimpleNamespace(), ()),
        (SimpleNamespace(observe=["step"]), ("step",)),
        (
            SimpleNamespace(observation_space=gymnasium.spaces.Dict(features=BOX, glance=BOX)),
            ("glance",),
        ),
        (SimpleNamespace(observation_space=BOX), ()),
    ],
)
def test_what_a_policy_wants_to_see(policy, keys):
    assert observed_by(policy) == keys
