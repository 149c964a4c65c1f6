import numpy as np
import pytest

from gf_env.datasets.scenes.landolt_rings import GAP, LEVELS, RING_SIZE, SIDES

(KIND,) = LEVELS
COUNT = 200


@pytest.fixture(scope="module")
def rings():
    """The scenes' rings with a gap, (n, 25, 25) bool, and what they are labelled."""
    scenes, truth = KIND.render("test", np.arange(COUNT)), KIND.truth("test", np.arange(COUNT))
    bright = (scenes >= 160).all(axis=1)
    corners = truth.objects[:, 0]
    boxes = [bright[n, r : r + RING_SIZE, c : c + RING_SIZE] for n, (r, c) in enumerate(corners)]
    return np.stack(boxes), truth.labels


@pytest.mark.parametrize("side", range(len(SIDES)), ids=SIDES)
def test_a_gap_is_open_to_its_side_and_nowhere_else(rings, side):
    boxes, labels = rings
    middle, radius = (RING_SIZE - 1) / 2, (RING_SIZE - GAP) / 2
    angles = np.arange(8) * np.pi / 4  # clockwise from north
    rows = np.round(middle - radius * np.cos(angles)).astype(int)
    cols = np.round(middle + radius * np.sin(angles)).astype(int)
    mine = boxes[labels == side]
    assert len(mine) > COUNT / 20
    assert (~mine[:, rows, cols] == (np.arange(8) == side)).all()


def test_one_ring_of_three_has_a_gap(rings):
    boxes, _ = rings
    scenes = KIND.render("test", np.arange(COUNT))
    bright = (scenes >= 160).all(axis=1).sum(axis=(1, 2))
    with_gap = boxes.sum(axis=(1, 2))
    closed = (bright - with_gap) / 2
    assert (closed == closed[0]).all()
    assert (with_gap < closed).all()
    assert np.ptp(with_gap) <= 3  # no side shows by brightness
