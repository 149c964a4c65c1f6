import itertools

import numpy as np
from sklearn.datasets import load_digits

from gf_env.datasets.scenes.cluttered_digits import DEFAULT, IMAGE_SIZE
from gf_env.datasets.scenes.digit_scans import digit_scans, draw_digits
from gf_env.datasets.scenes.digits_apart import DIGIT_SIZE


def test_held_out_scans_are_held_out():
    parts = [digit_scans(name).scans for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(load_digits().target) == 1797
    keys = [{scan.tobytes() for scan in part} for part in parts]
    assert not any(one & other for one, other in itertools.combinations(keys, 2))


def test_the_digit_is_whole_and_where_the_layout_says():
    layout = DEFAULT.layout("test", np.arange(300))
    gaps = np.abs(layout.distractor_corners - layout.corners[:, None]).max(axis=2)
    assert gaps.min() >= DIGIT_SIZE  # no distractor touches the digit
    travel = IMAGE_SIZE - DIGIT_SIZE
    for corners in (layout.corners, layout.distractor_corners):
        assert corners.min() >= 0
        assert corners.max() <= travel
    scenes = DEFAULT.render("test", np.arange(300))[:, 0].astype(int)
    drawn = draw_digits(digit_scans("test").scans[layout.scans], layout.transforms, 10).astype(int)
    for scene, digit, (top, left) in zip(scenes, drawn, layout.corners, strict=True):
        noise = scene[top : top + 10, left : left + 10] - digit
        assert noise.min() >= 0
        assert noise.max() < 32


def test_labels_are_those_of_the_scans_and_places_are_everywhere():
    layout = DEFAULT.layout("train", np.arange(20_000))
    assert np.array_equal(layout.labels, digit_scans("train").labels[layout.scans])
    assert np.unique(layout.corners[:, 0]).size == 87
    assert np.unique(layout.distractor_corners[..., 1]).size == 87
    assert abs(layout.corners.mean() - 43) < 0.5
