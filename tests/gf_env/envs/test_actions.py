import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gf_env.envs.actions import GridActions, LocationActions, Look, action_codec
from gf_env.geometry import Lattice

CPU = torch.device("cpu")
LOCATIONS = action_codec(None, 96, 24, CPU)
GRID = action_codec(2, 96, 24, CPU)


def test_the_two_codecs():
    assert isinstance(LOCATIONS, LocationActions)
    assert LOCATIONS.space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    assert LOCATIONS.grid_size is LOCATIONS.lattice is None
    assert isinstance(GRID, GridActions)
    assert GRID.space == gymnasium.spaces.Discrete(4)
    assert GRID.grid_size == 2
    assert GRID.lattice == Lattice.grid(2, 96, 24)
    with pytest.raises(ValueError, match="grid_size must be 1 or more"):
        action_codec(0, 96, 24, CPU)


@pytest.mark.parametrize(
    ("codec", "actions", "locations"),
    [
        (LOCATIONS, [[-1, 1], [0, 0.5], [-3, np.inf]], [[0, 1], [0.5, 0.75], [0, 1]]),
        (LOCATIONS, [[0, 1], [1, 0], [0, 0]], [[0.5, 1], [1, 0.5], [0.5, 0.5]]),
        (GRID, [0, 1, 2], [[0, 0], [0, 1], [1, 0]]),
        (GRID, np.array([3, 3, 0], np.uint8), [[1, 1], [1, 1], [0, 0]]),
    ],
)
def test_actions_mean_looks(codec, actions, locations):
    look = codec.decode(actions, 3)
    assert look.locations.dtype == torch.float32
    assert look.locations.tolist() == locations


@pytest.mark.parametrize(
    ("codec", "actions", "message"),
    [
        (LOCATIONS, [[0, np.nan], [0, 0], [np.nan, 0]], "NaN, got .* in episode 0 and 2 of 3"),
        (LOCATIONS, [[0, 0], [0, 0]], r"shape \(3, 2\), got shape \(2, 2\)"),
        (LOCATIONS, [["a", "b"]] * 3, "got shape"),
        (GRID, [0, 4, -1], r"\[0, 4\), got 4 in episode 1 and 2 of 3"),
        (GRID, [0.0, 1.0, 2.0], "integers"),
        (GRID, [0, 1], r"shape \(3,\), got shape \(2,\)"),
    ],
)
def test_actions_that_cannot_be(codec, actions, message):
    with pytest.raises(ValueError, match=message):
        codec.decode(np.array(actions), 3)


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 2), min_size=1, max_size=5))
def test_what_is_encoded_decodes_to_the_same_look(places):
    look = Look(torch.tensor(places))
    again = LOCATIONS.decode(LOCATIONS.encode(look), len(places))
    assert torch.allclose(again.locations, look.locations, atol=1e-6)
    nearest = GRID.decode(GRID.encode(look), len(places)).locations
    assert torch.equal(nearest, GRID.lattice.snap(look.locations))


def test_what_a_network_chose():
    chosen = torch.tensor([[-0.5, 0.25], [1.5, 1.0]])
    assert LOCATIONS.look(chosen).locations.tolist() == [[0, 0.25], [1, 1]]
    assert GRID.look(torch.tensor([3, 1])).locations.tolist() == [[1, 1], [0, 1]]


def test_who_needs_a_grid():
    assert GRID.require_grid("the teacher tries every patch") == 2
    with pytest.raises(ValueError, match=r"the teacher tries every patch, but .* with grid_size"):
        LOCATIONS.require_grid("the teacher tries every patch")
