import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from gf_env import geometry
from gf_env.geometry import Lattice


def corners(lattice):
    return geometry.corners(lattice.locations(), lattice.image_size, lattice.patch_size)


@settings(max_examples=200, deadline=None)
@given(grid_size=st.integers(2, 40), size=st.integers(2, 512), data=st.data())
def test_grid_lines_start_where_whole_numbers_say(grid_size, size, data):
    patch = data.draw(st.integers(1, size))
    lines = np.arange(grid_size) * (size - patch) // (grid_size - 1)
    rows, cols = np.meshgrid(lines, lines, indexing="ij")
    expected = np.stack([rows.ravel(), cols.ravel()], axis=1)
    assert np.array_equal(corners(Lattice.grid(grid_size, size, patch)).numpy(), expected)


def test_grid_of_one_is_the_centre():
    assert Lattice.grid(1, 96, 24).locations().tolist() == [[0.5, 0.5]]


def test_stride_reaches_the_last_pixel():
    assert Lattice.strided(5, 20, 8).lines == (0, 5, 10, 12)
    assert Lattice.strided(6, 20, 8).lines == (0, 6, 12)
    assert Lattice.strided(50, 20, 8).lines == (0, 12)
    assert Lattice.strided(1, 8, 8).lines == (0,)


@settings(max_examples=100, deadline=None)
@given(stride=st.integers(1, 30), size=st.integers(2, 64), data=st.data())
def test_snaps_to_the_nearest_line(stride, size, data):
    patch = data.draw(st.integers(1, size))
    place = data.draw(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)))
    lattice = Lattice.strided(stride, size, patch)
    wanted = geometry.corners(torch.tensor([place]), size, patch)[0].tolist()
    (found,) = geometry.corners(lattice.snap(torch.tensor([place])), size, patch).tolist()
    for pixel, line in zip(wanted, found, strict=True):
        assert line == min(lattice.lines, key=lambda each: (abs(each - pixel), each))


def test_own_locations_stay_where_they_are():
    for lattice in (Lattice.grid(7, 96, 24), Lattice.strided(5, 224, 96)):
        assert torch.equal(lattice.index(lattice.locations()), torch.arange(len(lattice)))
        assert torch.equal(lattice.snap(lattice.locations()), lattice.locations())


def test_what_is_kept_can_be_used_with_gradients():
    """Feature banks ask first, in inference mode."""
    lattice = Lattice(96, 24, (1, 17, 55))
    with torch.inference_mode():
        lattice.locations()
    weights = torch.ones(9, 2, requires_grad=True)
    (lattice.locations() * weights).sum().backward()
    assert torch.equal(weights.grad, lattice.locations())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lattice.grid(0, 96, 24), "grid_size must be 1 or more, got 0"),
        (lambda: Lattice.strided(0, 96, 24), "a pixel or more, got 0"),
        (lambda: Lattice(96, 24, ()), "one at least"),
        (lambda: Lattice(96, 24, (3, 2)), "ascending"),
        (lambda: Lattice(96, 24, (0, 73)), r"in \[0, 72\]"),
    ],
)
def test_lattices_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
