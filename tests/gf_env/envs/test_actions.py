import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gf_env.envs.actions import GridActions, LocationActions, Look, action_codec
from gf_env.geometry import Lattice

CPU = torch.device("cpu")
LOCATIONS, STOP_LOCATIONS = (action_codec(None, 96, 24, CPU, stop=stop) for stop in (False, True))
GRID, STOP_GRID = (action_codec(2, 96, 24, CPU, stop=stop) for stop in (False, True))


@pytest.mark.parametrize("stop", [False, True])
def test_the_two_codecs(stop):
    locations, grid = (action_codec(size, 96, 24, CPU, stop=stop) for size in (None, 2))
    assert isinstance(locations, LocationActions)
    assert locations.space == gymnasium.spaces.Box(-1, 1, (3 if stop else 2,), np.float32)
    assert locations.grid_size is locations.lattice is None
    assert isinstance(grid, GridActions)
    assert grid.space == gymnasium.spaces.Discrete(5 if stop else 4)
    assert grid.grid_size == 2
    assert grid.lattice == Lattice.grid(2, 96, 24)
    assert locations.stop is grid.stop is stop


def test_grids_have_a_patch():
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
    assert look.stop is None


@pytest.mark.parametrize(
    ("codec", "actions", "locations"),
    [
        (
            STOP_LOCATIONS,
            [[-1, 1, 0], [0, 0.5, 1e-6], [-3, 0, np.inf], [0, 0, -0.0]],
            [[0, 1], [0.5, 0.75], [0, 0.5], [0.5, 0.5]],
        ),
        (STOP_GRID, [0, 4, 4, 3], [[0, 0], [0.5, 0.5], [0.5, 0.5], [1, 1]]),
    ],
)
def test_actions_that_stop(codec, actions, locations):
    look = codec.decode(np.array(actions), 4)
    assert look.locations.tolist() == locations
    assert look.stop.dtype == torch.bool
    assert look.stop.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("codec", "actions", "message"),
    [
        (LOCATIONS, [[0, np.nan], [0, 0], [np.nan, 0]], "NaN, got .* in episode 0 and 2 of 3"),
        (LOCATIONS, [[0, 0], [0, 0]], r"shape \(3, 2\), got shape \(2, 2\)"),
        (LOCATIONS, [["a", "b"]] * 3, "got shape"),
        (GRID, [0, 4, -1], r"\[0, 4\), got 4 in episode 1 and 2 of 3"),
        (GRID, [0.0, 1.0, 2.0], "integers"),
        (GRID, [0, 1], r"shape \(3,\), got shape \(2,\)"),
        (LOCATIONS, [[0, 0, 1]] * 3, r"\(row, col\) .*\(3, 2\), got shape \(3, 3\)"),
        (STOP_LOCATIONS, [[0, 0]] * 3, r"\(row, col, stop\) .*\(3, 3\), got shape \(3, 2\)"),
        (STOP_LOCATIONS, [[0, 0, np.nan]] * 3, "NaN, got .* in episode 0 and 3 of 3"),
        (STOP_GRID, [4, 5, 0], r"\[0, 5\), got 5 in episode 1 and 1 of 3"),
    ],
)
def test_actions_that_cannot_be(codec, actions, message):
    with pytest.raises(ValueError, match=message):
        codec.decode(np.array(actions), 3)


PLACES = st.tuples(*[st.floats(0, 1, width=32)] * 2)


@given(st.lists(st.tuples(PLACES, st.booleans()), min_size=1, max_size=5), st.booleans())
def test_what_is_encoded_decodes_to_the_same_look(looks, stop):
    count = len(looks)
    places, ends = (torch.tensor(each) for each in zip(*looks, strict=True))
    look = Look(places, ends if stop else None)
    locations, grid = (STOP_LOCATIONS, STOP_GRID) if stop else (LOCATIONS, GRID)
    again = locations.decode(locations.encode(look), count)
    assert torch.allclose(again.locations, places, atol=1e-6)
    nearest = grid.decode(grid.encode(look), count)
    going = ~ends if stop else torch.ones_like(ends)
    assert torch.equal(nearest.locations[going], GRID.lattice.snap(places)[going])
    for found in (again, nearest):
        assert found.stop is None if look.stop is None else torch.equal(found.stop, ends)
    for codec in (locations, grid):  # what it encodes is an action of its space
        encoded = codec.encode(look)
        assert encoded.dtype == codec.space.dtype
        assert all(codec.space.contains(action) for action in encoded)


@pytest.mark.parametrize("codec", [STOP_LOCATIONS, STOP_GRID])
def test_a_look_that_does_not_say_who_stops_stops_nobody(codec):
    look = Look(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    again = codec.decode(codec.encode(look), 2)
    assert torch.equal(again.locations, look.locations)
    assert not again.stop.any()


def test_what_a_network_chose():
    chosen = torch.tensor([[-0.5, 0.25], [1.5, 1.0]])
    assert LOCATIONS.look(chosen).locations.tolist() == [[0, 0.25], [1, 1]]
    assert GRID.look(torch.tensor([3, 1])).locations.tolist() == [[1, 1], [0, 1]]
    assert LOCATIONS.look(chosen).stop is GRID.look(torch.tensor([0])).stop is None
    with_stop = torch.cat([chosen, torch.tensor([[0.1], [-2.0]])], dim=1)
    assert STOP_LOCATIONS.look(with_stop).locations.tolist() == [[0, 0.25], [1, 1]]
    assert STOP_LOCATIONS.look(with_stop).stop.tolist() == [True, False]
    assert STOP_GRID.look(torch.tensor([3, 4])).locations.tolist() == [[1, 1], [0.5, 0.5]]
    assert STOP_GRID.look(torch.tensor([3, 4])).stop.tolist() == [False, True]


def test_who_needs_a_grid():
    assert GRID.require_grid("the teacher tries every patch") == 2
    with pytest.raises(ValueError, match=r"the teacher tries every patch, but .* with grid_size"):
        LOCATIONS.require_grid("the teacher tries every patch")
