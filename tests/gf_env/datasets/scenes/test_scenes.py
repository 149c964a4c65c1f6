"""The contract of every built-in task at every level, and of scenes that are no task."""

import itertools
import pickle
import time
import zlib

import numpy as np
import pytest
import torch

from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.base import InMemory, dataset_digest
from gf_env.datasets.scenes import landolt_rings
from gf_env.datasets.scenes.base import SPLIT_SIZES, EndlessScenes, Scenes, load_scenes
from gf_env.datasets.scenes.digit_scans import digit_scans
from gf_env.datasets.scenes.hidden_digits import GROUND
from gf_env.datasets.scenes.registry import DATA_SETS, SCENES, TASKS

GOLDEN = {
    "cluttered-digits-easy": "5b457367 32050569 0db152eb 04cabd76",
    "cluttered-digits": "662c753c 40a9c148 23bbcdb9 539cb191",
    "cluttered-digits-hard": "544553a8 0d766c5a ed61650c 93d2eeb3",
    "hidden-digits-easy": "b75df95b 82bf5b01 9b289dfe b54915b0",
    "hidden-digits": "acf4b9ed b3b44469 6f114a40 d51e6eed",
    "hidden-digits-hard": "09cdeed9 f7f91360 ea29b116 a3dea68d",
    "signposts-easy": "82ea1849 2ff6e33b cac7dad6 f56bbadd",
    "signposts": "4a56623c 35304432 efd60b19 7106d45a",
    "signposts-hard": "36e49dbf f813f916 9121283a 024440ce",
    "digit-sums-easy": "6f953ea8 e4669e9b fc1e9a3d add20e47",
    "digit-sums": "33eac2fe ee14259d 33878231 e320fa85",
    "digit-sums-hard": "38428a46 2442c2de 875f74d2 a5cd77b4",
    "landolt-rings": "d3066549 39e8c55c 1de6400e 324fb914",
}
NOISE = 32


@pytest.fixture(params=SCENES.values(), ids=SCENES)
def kind(request):
    return request.param


STORED = {name: kind for name, kind in SCENES.items() if kind.stored}


@pytest.fixture(params=STORED.values(), ids=STORED)
def stored_kind(request):
    return request.param


def test_scenes_are_the_same_on_every_machine(kind):
    """Known checksums; a change of any scene needs a new `version`, and new numbers here."""
    scenes = [kind.render(split, np.arange(100)) for split in SPLIT_SIZES]
    assert " ".join(f"{zlib.crc32(each.tobytes()):08x}" for each in scenes) == GOLDEN[kind.name]
    assert kind.version == (2 if kind in landolt_rings.LEVELS else 1)


@pytest.mark.parametrize("index", [1, 37, 123_456, 2**40, 2**62])
def test_a_scene_depends_on_its_index_alone(kind, index):
    alone = np.array([index])
    for others in ([-1, 0, 1, 2], [5, 0, -1], [0, 0, 3], [1, 0]):
        among, place = index + np.array(others), others.index(0)
        assert np.array_equal(kind.render("train", alone)[0], kind.render("train", among)[place])
        pairs = zip(kind.truth("train", alone), kind.truth("train", among), strict=True)
        assert all(np.array_equal(one[0], other[place]) for one, other in pairs)


def test_splits_and_levels_differ(kind):
    first = [kind.render(split, np.arange(3)).tobytes() for split in SPLIT_SIZES]
    first += [other.render("test", np.arange(3)).tobytes() for other in SCENES.values()]
    assert len(set(first)) == len(SPLIT_SIZES) + len(SCENES) - 1  # its own test scenes twice


def test_levels_of_tasks():
    levels = [[task + level for level in ("-easy", "", "-hard")] for task in TASKS]
    assert list(SCENES) == [*itertools.chain(*levels), *DATA_SETS]
    assert SPLIT_SIZES == {"pretrain": 100_000, "train": 20_000, "validation": 2_000, "test": 2_000}


def the_digit(kind, contents):
    return contents[:, 0]


def the_sum(kind, contents):
    return contents.sum(axis=1) % 10


def what_the_sign_names(kind, contents):
    patterns = len(kind.content_names) - 40  # before four colours of ten digits
    colours, digits = np.divmod(contents[:, 1:] - patterns, 10)
    assert np.array_equal(contents[:, 0], colours[:, 0])
    for each in (colours, digits):
        assert (np.diff(np.sort(each), axis=1) > 0).all()
    return digits[:, 0]


LABELS = {
    "cluttered-digits": the_digit,
    "hidden-digits": the_digit,
    "signposts": what_the_sign_names,
    "digit-sums": the_sum,
}


@pytest.mark.parametrize("task", TASKS)
def test_labels_follow_from_what_counts(task):
    for kind in TASKS[task]:
        labels, _, contents = kind.truth("train", np.arange(20_000))
        assert np.array_equal(labels, LABELS[task](kind, contents))
        assert np.bincount(labels).min() > 1500  # of ten
        assert set(np.unique(contents)) <= set(range(len(kind.content_names)))


def test_objects_are_in_the_picture(kind):
    count = 300
    scenes, truth = kind.render("test", np.arange(count)), kind.truth("test", np.arange(count))
    size = kind.spec.image_size
    assert scenes.shape == (count, kind.spec.channels, size, size)
    assert truth.objects.shape == (count, kind.num_objects, 2)
    assert truth.contents.shape == (count, kind.num_objects)
    assert {each.dtype for each in truth} == {np.dtype(np.int64)}
    assert scenes.max() < 255  # or the noise might have overflown
    seen = ink(kind, scenes)
    for n, corners in enumerate(truth.objects):
        for (top, left), content in zip(corners, truth.contents[n], strict=True):
            side = kind.content_sizes[content]
            assert 0 <= min(top, left) <= max(top, left) <= size - side
            assert seen[n, top : top + side, left : left + side].sum() > 10
            seen[n, top : top + side, left : left + side] = False
    if kind.name not in DATA_SETS and not getattr(kind, "num_distractors", 0):
        assert not seen.any()


def test_no_look_holds_two_objects_that_tell_the_label_together(kind):
    objects = kind.truth("train", np.arange(2000)).objects[:, : kind.num_needed]
    gaps = np.abs(objects[:, :, None] - objects[:, None]).max(axis=3)
    gaps += 24 * np.eye(kind.num_needed, dtype=int)  # of an object to itself
    assert gaps.min() > 24 - min(kind.content_sizes)


def ink(kind, scenes):
    """Which pixels are no background with noise, (n, S, S)."""
    if kind in landolt_rings.LEVELS:  # its tiles differ
        return (scenes >= landolt_rings.GROUND + NOISE).all(axis=1)
    ground = GROUND if kind in TASKS["hidden-digits"] else 0
    return ((scenes < ground) | (scenes >= ground + NOISE)).any(axis=1)


def test_a_stored_split_is_what_its_kind_makes(stored_kind, tmp_path, monkeypatch):
    kind = stored_kind
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path))
    every = np.arange(30)
    images, truth = kind.render("test", every), kind.truth("test", every)
    for _ in range(2):  # made, then used
        scenes = Scenes(kind, "test", 30)
        assert np.array_equal(scenes.images(every), images)
        for name, expected in truth._asdict().items():
            assert np.array_equal(getattr(scenes, name), expected)
        monkeypatch.setattr(type(kind), "render", lambda *_: pytest.fail("made again"))
        monkeypatch.setattr(type(kind), "truth", lambda *_: pytest.fail("made again"))
    name = f"{kind.name}-v1-test-30"
    assert {path.name for path in tmp_path.glob("*.npy")} == {f"{name}.npy", f"{name}-truth.npy"}


def test_other_scenes_in_the_cache_are_not_used(stored_kind, tmp_path, monkeypatch):
    kind = stored_kind
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path))
    every = np.arange(7)
    Scenes(kind, "test", 9)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("test-9", "test-7"))
    newer = type("Newer", (type(kind),), {"version": kind.version + 1})(**vars(kind))
    for each in (kind, newer):
        scenes = Scenes(each, "test", 7)
        assert np.array_equal(scenes.images(every), each.render("test", every))
        assert np.array_equal(scenes.objects, each.truth("test", every).objects)
    assert not np.array_equal(kind.render("test", every), newer.render("test", every))


def test_a_long_split_is_made_as_it_is_needed(kind, tmp_path, monkeypatch):
    usual = load_scenes(kind, "test", 20)
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path))
    long = load_dataset(kind.name, "test", size=10_000_000)
    assert isinstance(long, EndlessScenes)
    assert isinstance(long, Dataset)
    assert not isinstance(long, InMemory)
    assert len(long) == len(long.labels) == len(long.objects) == 10_000_000
    some = np.array([3, 19, 4, 3])
    assert torch.equal(long.images(some), usual.images(some))
    for name in ("labels", "objects", "contents"):
        found, expected = getattr(long, name), getattr(usual, name)
        for indices in (some, some.reshape(2, 2), 7, slice(20), slice(4, 9, 2)):
            assert np.array_equal(found[indices], expected[indices])
    far = np.array([9_999_999])
    assert np.array_equal(long.images(far), kind.render("test", far))
    for outside in (10_000_000, -1):
        for use in (long.images, long.labels.__getitem__):
            with pytest.raises(IndexError, match=rf"scenes 0 to 9999999, got .* to {outside}"):
                use(np.array([outside]))
    assert list(tmp_path.iterdir()) == []


def test_labels_that_were_made_are_kept(kind, monkeypatch):
    scenes, some = EndlessScenes(kind, "test", 100_000), np.array([[7, 99_999], [7, 3]])
    expected = kind.truth("test", some.ravel()).labels.reshape(2, 2)
    for _ in range(2):
        assert np.array_equal(scenes.labels[some], expected)
        monkeypatch.setattr(type(kind), "truth", None)  # from here on there is what is kept
    again = pickle.dumps(scenes)
    assert len(again) < 1000
    with pytest.raises(TypeError):
        _ = pickle.loads(again).labels[some]


def test_digests_tell_long_splits_apart(kind):
    sizes = {"test": (2_001, 10_000_000), "validation": (2_001,)}
    digests = [
        dataset_digest(load_scenes(kind, split, size)) for split in sizes for size in sizes[split]
    ]
    assert len(set(digests)) == 3
    assert dataset_digest(EndlessScenes(kind, "test", 2_001)) == digests[0]


@pytest.mark.parametrize("task", TASKS)
def test_twenty_thousand_scenes_in_under_eight_seconds(task):
    _, default, _ = TASKS[task]
    digit_scans("train")  # scikit-learn's import is not the generator's time
    start = time.process_time()  # of one core, whatever else runs beside
    for first in range(0, 20_000, 1_000):
        default.render("train", np.arange(first, first + 1_000))
    assert time.process_time() - start < 8
