import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gf_env.datasets import load_dataset
from gf_env.datasets.scenes import cluttered_digits as digits
from gf_env.storage import cache


def test_scenes_are_the_same_on_every_machine():
    """Known checksums; a change of any scene needs a new VERSION, and new numbers here."""
    assert digits.VERSION == 1
    found = {
        split: f"{zlib.crc32(digits.render_scenes(split, 0, 100).tobytes()):08x}"
        for split in digits.SPLIT_SIZES
    }
    assert found == GOLDEN


GOLDEN = {
    "pretrain": "662c753c",
    "train": "40a9c148",
    "validation": "23bbcdb9",
    "test": "539cb191",
}


@pytest.mark.parametrize("start", [1, 37, 1999, 123_456])
def test_a_scene_depends_on_its_index_alone(start):
    alone = digits.render_scenes("train", start, 1)
    among = digits.render_scenes("train", start - 1, 4)
    assert np.array_equal(alone[0], among[1])
    assert (
        digits.scene_layout("train", start, 1).labels
        == digits.scene_layout("train", start - 1, 4).labels[1:2]
    )


def test_splits_differ_and_held_out_scans_are_held_out():
    first = [digits.render_scenes(split, 0, 5) for split in digits.SPLIT_SIZES]
    for i in range(4):
        assert all(not np.array_equal(first[i], other) for other in first[i + 1 :])
    pools = [digits._pool(name).scans for name in ("train", "validation", "test")]
    assert sum(map(len, pools)) == len(load_digits().target) == 1797
    keys = [{scan.tobytes() for scan in pool} for pool in pools]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


def test_the_digit_is_whole_and_where_the_layout_says():
    layout = digits.scene_layout("test", 0, 300)
    gaps = np.abs(layout.distractor_corners - layout.corners[:, None]).max(axis=2)
    assert gaps.min() >= digits.DIGIT_SIZE  # no distractor touches the digit
    travel = digits.IMAGE_SIZE - digits.DIGIT_SIZE
    for corners in (layout.corners, layout.distractor_corners):
        assert corners.min() >= 0
        assert corners.max() <= travel
    scenes = digits.render_scenes("test", 0, 300)[:, 0].astype(int)
    pool = digits._pool("test")
    drawn = digits._warp(pool.scans[layout.scans], layout.transforms).astype(int)
    for scene, digit, (top, left) in zip(scenes, drawn, layout.corners, strict=True):
        noise = scene[top : top + 10, left : left + 10] - digit
        assert noise.min() >= 0
        assert noise.max() < 32


def test_labels_are_those_of_the_scans_and_places_are_everywhere():
    layout = digits.scene_layout("train", 0, 20_000)
    assert np.array_equal(layout.labels, digits._pool("train").labels[layout.scans])
    assert np.bincount(layout.labels).min() > 1500
    assert np.unique(layout.corners[:, 0]).size == 87
    assert np.unique(layout.distractor_corners[..., 1]).size == 87
    assert abs(layout.corners.mean() - 43) < 0.5


def test_default_and_chosen_sizes():
    assert digits.SPLIT_SIZES == {
        "pretrain": 100_000,
        "train": 20_000,
        "validation": 2_000,
        "test": 2_000,
    }
    short, long = (load_dataset("cluttered-digits", "validation", size=n) for n in (30, 60))
    assert len(short) == 30
    assert np.array_equal(short.images(np.arange(30)), long.images(np.arange(30)))
    assert short.images(np.array([3, 3, 7])).shape == (3, 1, 96, 96)


def test_twenty_thousand_scenes_in_under_five_seconds():
    digits._pool("train")  # scikit-learn's import is not the generator's time
    start = time.perf_counter()
    for _ in digits._image_chunks("train", 20_000):
        pass
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("bad", ["dev", "", "Train"])
def test_unknown_split(bad):
    with pytest.raises(ValueError, match=r"pretrain.*train.*validation.*test"):
        digits.ClutteredDigits(bad)


def test_empty_split():
    with pytest.raises(ValueError, match="one scene or more"):
        digits.ClutteredDigits("test", 0)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path))
    return tmp_path


def _damage_truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _damage_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _damage_header(path):
    path.write_bytes(b"not numpy at all")


def _damage_checksum(path):
    path.with_suffix(".crc32").unlink()


@pytest.mark.parametrize(
    "damage", [_damage_truncate, _damage_flip, _damage_header, _damage_checksum]
)
def test_a_damaged_cache_is_made_again_silently(own_cache, damage):
    expected = digits.render_scenes("test", 0, 50)
    digits.ClutteredDigits("test", 50)
    files = list(own_cache.glob("*.npy"))
    assert len(files) == 2  # scenes, and what is true of them
    for path in files:
        damage(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = digits.ClutteredDigits("test", 50)
    assert np.array_equal(again.images(np.arange(50)), expected)
    layout = digits.scene_layout("test", 0, 50)
    assert np.array_equal(again.labels, layout.labels)
    assert np.array_equal(again.corners, layout.corners)


def test_a_whole_cache_is_used(own_cache, monkeypatch):
    digits.ClutteredDigits("test", 50)
    monkeypatch.setattr(cache, "_write", lambda *_: pytest.fail("made again"))
    digits.ClutteredDigits("test", 50)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("GF_ENV_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="GF_ENV_CACHE"):
        scenes = digits.ClutteredDigits("test", 20)
    assert np.array_equal(scenes.images(np.arange(20)), digits.render_scenes("test", 0, 20))


def test_two_processes_at_once(own_cache):
    code = (
        "from gf_env.datasets.scenes.cluttered_digits import ClutteredDigits; import numpy, zlib;"
        "print(zlib.crc32(ClutteredDigits('train', 4000).images(numpy.arange(4000)).numpy()))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    expected = zlib.crc32(digits.render_scenes("train", 0, 4000))
    assert printed == {f"{expected}\n"}
    assert not list(own_cache.glob("*partial*"))
