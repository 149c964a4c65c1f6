import contextlib
import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from gf_env.envs.make_task import make_task
from gf_env.feature_bank.bank_file import BankFile, stored_lattice
from gf_env.geometry import Lattice
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.storage.tensors import TensorFileError
from tests.helpers.damage import change, flip
from tests.helpers.tiny import ArrayDataset, random_dataset, random_network

GRID = Lattice.grid(3, 16, 8)
IMAGE_BYTES = 10 * (128 + 128) * 2
"""Glance and nine patches, of each 128 features and as many pooled, in float16."""


@pytest.fixture(autouse=True)
def small_pieces(own_cache, monkeypatch):
    """Twenty images are four pieces: of six, six, six and two."""
    monkeypatch.setattr("gf_env.feature_bank.bank_file._PIECE_BYTES", 6 * IMAGE_BYTES)


@pytest.fixture
def bank_file(tiny, tmp_path):
    return BankFile(**tiny, lattice=GRID, path=tmp_path / "banks" / "bank.npy")


def build(bank_file, stop_at=None):
    """Build a bank, or a part of it, and return the calls of `progress`."""
    seen = []

    def progress(*done):
        seen.append(done)
        if done[0] == stop_at:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        bank_file.build(progress)
    return seen


def forbid(monkeypatch, name):
    monkeypatch.setattr(GlanceFocusNet, name, lambda *_: pytest.fail("nothing is to be encoded"))


@pytest.fixture
def task_with(tiny):
    """Makes a task of the tiny network and data set; more arguments go to `make_task`."""
    return lambda **more: make_task(**{**tiny, **more})


def test_progress_and_plan(bank_file, tmp_path):
    plan = bank_file.plan()
    assert (plan.num_images, plan.images_done) == (20, 0)
    assert plan.num_bytes == 20 * IMAGE_BYTES
    assert 0 < plan.seconds < 60
    assert not bank_file.path.exists()
    assert build(bank_file) == [(6, 20), (12, 20), (18, 20), (20, 20)]
    assert bank_file.open().num_bytes == plan.num_bytes
    assert bank_file.path == plan.path == tmp_path / "banks" / "bank.npy"
    assert str(plan).startswith("feature bank of 20 images: 0.00 GB in")
    assert str(bank_file.path) in str(plan)


def test_a_stopped_build_is_resumed(task_with, bank_file):
    assert build(bank_file, stop_at=12) == [(6, 20), (12, 20)]
    assert not bank_file.is_built()
    for use in (bank_file.open, lambda: task_with(feature_bank=bank_file.path, grid_size=3)):
        with pytest.raises(TensorFileError, match="incomplete: it has 2 of 4 pieces; resume"):
            use()
    plan = bank_file.plan()
    assert plan.images_done == 12
    assert "20 images, 12 done before" in str(plan)
    assert build(bank_file) == [(18, 20), (20, 20)]
    assert bank_file.is_built()


def test_a_build_begins_at_the_first_bad_piece(bank_file):
    bank_file.build()
    whole = bank_file.path.read_bytes()
    change(bank_file.path, flip(-10 * IMAGE_BYTES))  # image 10
    assert build(bank_file) == [(12, 20), (18, 20), (20, 20)]
    assert bank_file.path.read_bytes() == whole


def test_what_is_built_is_not_built_again(bank_file, monkeypatch):
    bank_file.build()
    forbid(monkeypatch, "encode_glance")
    assert build(bank_file) == []


def alter_notes(old, new):
    def damage(path):
        notes = path.with_suffix(".json")
        assert old in notes.read_text()
        notes.write_text(notes.read_text().replace(old, new))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: os.truncate(path, 15 * IMAGE_BYTES), "does not match its checksums"),
        (lambda path: change(path, flip(-1)), "does not match its checksums; build it again"),
        (lambda path: change(path, flip(0)), "does not match its checksums"),
        (alter_notes('"arrays"', '"others"'), r"bank\.json is damaged"),
        (alter_notes("\n    4,\n", "\n    5,\n"), r"bank\.json is damaged"),  # of the lattice
        (lambda path: os.truncate(path.with_suffix(".json"), 50), r"bank\.json"),
        (lambda path: path.with_suffix(".json").unlink(), r"bank\.json"),
        (lambda path: path.unlink(), r"there is no .*bank\.npy"),
    ],
)
def test_a_damaged_bank_is_refused(task_with, bank_file, damage, message):
    bank_file.build()
    damage(bank_file.path)
    for use in (
        bank_file.open,
        lambda: task_with(feature_bank=bank_file.path, grid_size=3),
        lambda: task_with(feature_bank=bank_file.path),  # whose lattice is the bank's own
    ):
        with pytest.raises(TensorFileError, match=message):
            use()


def test_a_path_that_holds_no_bank(tiny, tmp_path):
    path = tmp_path / "other.npy"
    np.save(path, np.zeros(3))
    path.with_suffix(".json").write_text('{"lr": 0.1}')
    with pytest.raises(TensorFileError, match=r"is no feature bank: other\.json beside it cannot"):
        stored_lattice(path)
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    with pytest.raises(TensorFileError, match=r"other\.json is damaged, or not the notes"):
        BankFile(**tiny, lattice=GRID, path=path).build()
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before


def other_images():
    """One pixel of one image is another."""
    dataset = random_dataset()
    images = dataset.images(np.arange(20)).clone()
    images[7, 0, 3, 3] ^= 1
    return ArrayDataset(images, dataset.labels, dataset.spec)


def with_other(**attributes):
    dataset = random_dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": random_network(seed=1)}, r"bank(\.npy)? has network '\w+' instead of '\w+'$"),
        ({"dataset": other_images()}, r"has dataset version '\w+' instead of '\w+'$"),
        ({"dataset": with_other(split="test")}, "has split 'train' instead of 'test'$"),
        ({"dataset": with_other(name="others")}, "has dataset 'arrays' instead of 'others'$"),
        (
            {"dataset": with_other(labels=np.zeros(20, np.int64))},
            r"has dataset version '\w+' instead of '\w+'$",
        ),
        (
            {"dataset": random_dataset(21)},
            r"has dataset version '\w+' instead of '\w+'(; shape \[20.* instead of \[21.*)?$",
        ),
        ({"grid_size": 4}, r"has lattice {.*\[0, 4, 8\]} instead of {.*\[0, 2, 5, 8\]}"),
        (
            {"grid_size": None, "lattice_stride": 5},
            r"has lattice {.*\[0, 4, 8\]} instead of {.*\[0, 5, 8\]}$",
        ),
    ],
)
@pytest.mark.parametrize("opened", [True, False])
def test_a_bank_of_something_else(task_with, bank_file, changes, message, opened):
    bank = bank_file.build()
    arguments = {"feature_bank": bank if opened else bank_file.path, "grid_size": 3}
    assert task_with(**arguments).rules.lattice == GRID
    with pytest.raises(TensorFileError, match=message):
        task_with(**{**arguments, **changes})


def test_equal_objects_are_the_same_thing(bank_file):
    bank = bank_file.build()
    task = make_task(network=random_network(), dataset=random_dataset(), feature_bank=bank)
    assert task.glimpse_source is bank


def test_a_bank_and_a_network_on_two_devices(task_with, bank_file):
    bank = bank_file.build()
    with pytest.raises(ValueError, match="bank is on cpu, but the network on meta; open"):
        task_with(feature_bank=bank, device="meta")


def test_true_builds_once_in_the_cache(tiny, own_cache, monkeypatch, caplog):
    arguments = {**tiny, "feature_bank": True}
    with caplog.at_level(logging.WARNING, "gf_env"):
        gym.make("GlanceFocusGrid-v0", **arguments)
        assert "building a feature bank of 20 images" in caplog.text
        assert "feature bank: 20 of 20 images" in caplog.text
        caplog.clear()
        make_task(**arguments, grid_size=2)
        make_task(**arguments, lattice_stride=3)
        paths = sorted((own_cache / "banks").glob("arrays-train-*.npy"))
        assert len(paths) == 3
        caplog.clear()
        forbid(monkeypatch, "encode_patches")
        for _ in range(2):
            make_task(**arguments, grid_size=2)
        assert not caplog.text
    assert sorted((own_cache / "banks").glob("*.npy")) == paths


def test_true_refuses_a_damaged_bank(task_with, tiny):
    file = BankFile(**tiny, lattice=GRID)
    file.build()
    change(file.path, flip(-1))
    with pytest.raises(TensorFileError, match="does not match its checksums; build it again"):
        task_with(grid_size=3, feature_bank=True)


def leave_free(monkeypatch, num_bytes):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=num_bytes))


@pytest.mark.parametrize("use", ["plan", "build"])
def test_too_little_disk(bank_file, monkeypatch, use):
    leave_free(monkeypatch, 20 * IMAGE_BYTES - 1)
    for name in ("encode_glance", "encode_patches"):
        forbid(monkeypatch, name)
    with pytest.raises(OSError, match=r"needs 0\.00 GB more, but .* free; take a coarser lattice"):
        getattr(bank_file, use)()
    assert not list(bank_file.path.parent.parent.rglob("*.npy"))


def test_what_is_written_needs_no_more_room(bank_file, monkeypatch):
    build(bank_file, stop_at=12)
    leave_free(monkeypatch, 8 * IMAGE_BYTES)
    assert bank_file.plan().images_done == 12
    bank_file.build()


def test_larger_than_memory(bank_file, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=64))
    with pytest.warns(UserWarning, match="larger than the memory of .*wait for the disk"):
        bank_file.plan()
    with pytest.warns(UserWarning, match="larger than the memory"):
        assert bank_file.build().num_bytes == 20 * IMAGE_BYTES


@pytest.mark.parametrize("value", [1e6, math.nan])
def test_values_that_float16_cannot_hold(tiny, tmp_path, value):
    tiny["network"].local_encoder.layers[-2].bias.fill_(value)  # of the last normalisation
    file = BankFile(**tiny, lattice=GRID, path=tmp_path / "bank.npy")
    with pytest.raises(ValueError, match="images 0 to 5 are too large for float16 or not finite"):
        file.build()
    assert not file.is_built()
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "pass lattice_stride, or grid_size"),
        ({"grid_size": 3, "lattice_stride": 2}, "leave it or grid_size out"),
        ({"grid_size": 3, "precision": "bfloat16"}, "leave out precision and compiled"),
        ({"grid_size": 3, "compiled": True}, "leave out precision and compiled"),
        ({"grid_size": 0}, "grid_size must be 1 or more"),
        ({"lattice_stride": 0}, "a pixel or more, got 0"),
        ({"grid_size": 3, "feature_bank": "bank.bin"}, r"ends with \.npy, got bank\.bin"),
    ],
)
def test_arguments_that_do_not_go_together(task_with, own_cache, arguments, message):
    with pytest.raises(ValueError, match=message):
        task_with(**{"feature_bank": True, **arguments})
    assert not own_cache.exists()


def test_a_network_in_training_mode(task_with, tiny, bank_file):
    bank = bank_file.build()
    tiny["network"].train()
    with pytest.raises(ValueError, match="eval"):
        BankFile(**tiny, lattice=GRID)
    for given in (True, bank, bank_file.path):
        with pytest.raises(ValueError, match="eval"):
            task_with(grid_size=3, feature_bank=given)


def test_two_builders_write_one_file(tiny, bank_file):
    """Threads exclude each other by the same lock as processes do."""
    builders = [BankFile(**tiny, lattice=GRID, path=bank_file.path) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(map(len, pool.map(build, builders))) == [0, 4]
    assert bank_file.is_built()


@pytest.mark.gpu
def test_on_a_gpu(task_with, bank_file):
    """The file is made on the CPU and used on the GPU."""
    bank_file.build()
    banked = task_with(grid_size=3, feature_bank=bank_file.path, device="cuda")
    direct = task_with(grid_size=3, device="cuda")
    for task in (banked, direct):
        assert task.device.type == "cuda"
    found, expected = (task.start(np.arange(4)).logits for task in (banked, direct))
    assert torch.allclose(found, expected, atol=5e-3)
