from types import SimpleNamespace

import gymnasium
import pytest

from gf_env.policy import ChoiceCost, choice_cost, grid_size_of, observed_by, stops

BOX = gymnasium.spaces.Box(-1, 1, (2,))


def acting_in(space, **said):
    """A policy with such actions, as Stable-Baselines3 models have it."""
    return SimpleNamespace(action_space=space, **said)


def discrete(count, **said):
    return acting_in(gymnasium.spaces.Discrete(count), **said)


@pytest.mark.parametrize(
    ("policy", "given", "size"),
    [
        (SimpleNamespace(), None, None),
        (SimpleNamespace(), 3, 3),
        (SimpleNamespace(grid_size=None), None, None),
        (SimpleNamespace(grid_size=5), None, 5),
        (SimpleNamespace(grid_size=5), 3, 3),
        (discrete(49), None, 7),
        (discrete(50), None, 7),
        (discrete(50, stop=True), None, 7),
        (discrete(49, stop=False), None, 7),
        (discrete(2), None, 1),
        (discrete(1), None, 1),
        (discrete(48), 5, 5),
        (acting_in(BOX), None, None),
    ],
)
def test_what_a_policy_says_of_its_grid(policy, given, size):
    assert grid_size_of(policy, given) == size


@pytest.mark.parametrize(
    "policy", [discrete(48), discrete(51), discrete(50, stop=False), discrete(49, stop=True)]
)
def test_patches_that_are_no_square_grid(policy):
    with pytest.raises(ValueError, match="n x n patches, and one action more to stop"):
        grid_size_of(policy)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SimpleNamespace(), False),
        (SimpleNamespace(stop=True), True),
        (SimpleNamespace(stop=False), False),
        (acting_in(BOX), False),
        (acting_in(gymnasium.spaces.Box(-1, 1, (3,))), True),
        (acting_in(gymnasium.spaces.Box(-1, 1, (3,)), stop=False), False),
        *((discrete(count), False) for count in (1, 4, 9, 49, 48)),
        *((discrete(count), True) for count in (2, 5, 10, 50)),
        (discrete(49, stop=True), True),
    ],
)
def test_whether_one_of_its_actions_stops(policy, expected):
    assert stops(policy) is expected


@pytest.mark.parametrize(
    ("policy", "cost"),
    [
        (SimpleNamespace(), ChoiceCost(0, 0, 0)),
        (SimpleNamespace(multiply_adds=7), ChoiceCost(7, 7, 7)),
        (SimpleNamespace(multiply_adds=ChoiceCost(1, 20, 3)), ChoiceCost(1, 20, 3)),
    ],
)
def test_what_its_choices_cost(policy, cost):
    assert choice_cost(policy) == cost


def test_the_first_choice_may_cost_something_else_than_later_ones():
    cost = ChoiceCost(first=100, later=10, stop=1)
    assert cost.cumulative(4) == [0, 100, 110, 120]
    assert [cost.cumulative(looks) for looks in (2, 1)] == [[0, 100], [0]]


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
