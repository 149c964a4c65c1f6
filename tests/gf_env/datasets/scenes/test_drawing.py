import numpy as np

from gf_env.datasets.scenes.drawing import clear_offsets, cut_quarters, join_quarters, lay, warp

UPRIGHT = np.eye(2)[None]


def test_warped_by_hand():
    original = np.arange(16.0).reshape(1, 4, 4)
    assert np.array_equal(warp(original, UPRIGHT, 4), original)
    turned = warp(original, np.array([[[0.0, 1.0], [-1.0, 0.0]]]), 4)
    assert np.array_equal(turned[0], np.rot90(original[0]))
    # twice the offsets from the centre: between four pixels inside, and outside, which is black
    half = warp(original, 2 * UPRIGHT, 4)
    assert np.array_equal(half[0], np.pad([[2.5, 4.5], [10.5, 12.5]], 1))


def test_quarters_are_cut_and_joined():
    objects = np.random.default_rng(0).integers(0, 256, (3, 6, 6), np.uint8)
    quarters = cut_quarters(objects)
    assert quarters.shape == (48, 3, 3)
    upright = quarters.reshape(4, 4, 3, 3, 3)[:, 0].swapaxes(0, 1)
    assert np.array_equal(join_quarters(upright), objects)
    assert np.array_equal(quarters[3], np.rot90(quarters[0]))


def test_the_brighter_pixel_wins_in_any_channel():
    scenes = np.full((2, 3, 5, 5), 4, np.uint8)
    lay(scenes[:, 1], np.array([[[9, 1], [9, 9]]] * 2, np.uint8), np.array([[0, 0], [3, 2]]))
    expected = np.full((2, 5, 5), 4)
    expected[0, :2, :2] = expected[1, 3:, 2:4] = [[9, 4], [9, 9]]
    assert np.array_equal(scenes[:, 1], expected)
    assert (scenes[:, [0, 2]] == 4).all()


def test_boxes_that_do_not_touch():
    offsets = clear_offsets(10, 4)
    gaps = np.minimum(offsets, 10 - offsets).max(axis=1)
    assert gaps.min() == 4
    assert len(offsets) == 100 - 7 * 7
