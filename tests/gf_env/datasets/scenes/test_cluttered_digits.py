import itertools
import time
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gf_env.datasets import load_dataset
from gf_env.datasets.scenes import cluttered_digits as digits
from gf_env.datasets.scenes.digit_scans import digit_scans, draw_digits


def test_scenes_are_the_same_on_every_machine():
    """Known checksums; a change of any scene needs a new VERSION, and new numbers here."""
    assert digits.VERSION == 1
    found = {
        split: f"{zlib.crc32(digits.render_scenes(split, 0, 100).tobytes()):08x}"
        for split in digits.SPLIT_SIZES
    }
    assert found == GOLDEN


GOLDEN = {"pretrain": "662c753c", "train": "40a9c148", "validation": "23bbcdb9", "test": "539cb191"}


@pytest.mark.parametrize("start", [1, 37, 1999, 123_456])
def test_a_scene_depends_on_its_index_alone(start):
    alone = digits.render_scenes("train", start, 1)
    among = digits.render_scenes("train", start - 1, 4)
    assert np.array_equal(alone[0], among[1])
    labels = digits.scene_layout("train", start - 1, 4).labels
    assert digits.scene_layout("train", start, 1).labels == labels[1]


def test_splits_differ_and_held_out_scans_are_held_out():
    first = [digits.render_scenes(split, 0, 5) for split in digits.SPLIT_SIZES]
    assert not any(np.array_equal(*pair) for pair in itertools.combinations(first, 2))
    parts = [digit_scans(name).scans for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(load_digits().target) == 1797
    keys = [{scan.tobytes() for scan in part} for part in parts]
    assert not any(one & other for one, other in itertools.combinations(keys, 2))


def test_the_digit_is_whole_and_where_the_layout_says():
    layout = digits.scene_layout("test", 0, 300)
    gaps = np.abs(layout.distractor_corners - layout.corners[:, None]).max(axis=2)
    assert gaps.min() >= digits.DIGIT_SIZE  # no distractor touches the digit
    travel = digits.IMAGE_SIZE - digits.DIGIT_SIZE
    for corners in (layout.corners, layout.distractor_corners):
        assert corners.min() >= 0
        assert corners.max() <= travel
    scenes = digits.render_scenes("test", 0, 300)[:, 0].astype(int)
    drawn = draw_digits(digit_scans("test").scans[layout.scans], layout.transforms, 10).astype(int)
    for scene, digit, (top, left) in zip(scenes, drawn, layout.corners, strict=True):
        noise = scene[top : top + 10, left : left + 10] - digit
        assert noise.min() >= 0
        assert noise.max() < 32


def test_labels_are_those_of_the_scans_and_places_are_everywhere():
    layout = digits.scene_layout("train", 0, 20_000)
    assert np.array_equal(layout.labels, digit_scans("train").labels[layout.scans])
    assert np.bincount(layout.labels).min() > 1500
    assert np.unique(layout.corners[:, 0]).size == 87
    assert np.unique(layout.distractor_corners[..., 1]).size == 87
    assert abs(layout.corners.mean() - 43) < 0.5


def test_default_and_chosen_sizes():
    assert list(digits.SPLIT_SIZES) == ["pretrain", "train", "validation", "test"]
    assert list(digits.SPLIT_SIZES.values()) == [100_000, 20_000, 2_000, 2_000]
    short, long = (load_dataset("cluttered-digits", "validation", size=n) for n in (30, 60))
    assert len(short) == 30
    assert np.array_equal(short.images(np.arange(30)), long.images(np.arange(30)))
    assert short.images(np.array([3, 3, 7])).shape == (3, 1, 96, 96)


def test_twenty_thousand_scenes_in_under_five_seconds():
    digit_scans("train")  # scikit-learn's import is not the generator's time
    start = time.perf_counter()
    for first in range(0, 20_000, 2_000):
        digits.render_scenes("train", first, 2_000)
    assert time.perf_counter() - start < 5


def test_truth_is_cached_beside_the_scenes(tmp_path, monkeypatch):
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path))
    layout, images = digits.scene_layout("test", 0, 50), digits.render_scenes("test", 0, 50)
    for _ in range(2):  # made, then used
        scenes = digits.ClutteredDigits("test", 50)
        assert np.array_equal(scenes.images(np.arange(50)), images)
        assert np.array_equal(scenes.labels, layout.labels)
        assert np.array_equal(scenes.corners, layout.corners)
        monkeypatch.setattr(digits, "scene_layout", lambda *_: pytest.fail("made again"))
    name = "cluttered-digits-v1-test-50"
    assert {path.name for path in tmp_path.glob("*.npy")} == {f"{name}.npy", f"{name}-truth.npy"}
