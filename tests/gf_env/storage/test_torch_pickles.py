"""Pickles of torch: tensors of no more than the file has, and what is damaged is found."""

import hashlib
import io
import os
import zipfile

import numpy as np
import pytest
import torch

from gf_env.storage.tensors import TensorFileError
from gf_env.storage.torch_pickles import read_pickle
from tests.helpers.damage import flip
from tests.helpers.official_checkpoints import write

PARTS = {"weights": {"a": torch.rand(50), "b": torch.arange(3)}, "epoch": 3, "acc": np.float64(0.5)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pth"


def repacked(path, compression=zipfile.ZIP_STORED, extra=()):
    """Write torch's zip container anew."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in [*parts, *extra]:
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize("legacy", [True, False])
def test_what_was_saved_comes_back(path, legacy, caplog):
    found = read_pickle(write(path, PARTS, legacy=legacy))
    assert torch.equal(found.parts["weights"]["a"], PARTS["weights"]["a"])
    assert found.parts["acc"] == 0.5
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"read {path}, SHA-256 {found.sha256}" in caplog.text


def test_every_bit_of_a_zip_counts(path):
    whole = write(path, PARTS, legacy=False).read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(flip(place)(whole))
        try:
            found = read_pickle(path).parts
        except TensorFileError:
            continue
        assert found["epoch"] == 3  # a time or a flag in the container
        for name, value in PARTS["weights"].items():
            assert torch.equal(found["weights"][name], value)


def test_a_digest_that_is_given_finds_every_change(path):
    whole = write(path, PARTS, legacy=True).read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    assert read_pickle(path, digest.upper()).sha256 == digest
    for place in range(0, len(whole), 11):
        path.write_bytes(flip(place)(whole))
        with pytest.raises(TensorFileError, match="it is damaged"):
            read_pickle(path, digest)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(1 << 30),
        torch.zeros(1 << 10).expand(1 << 20, 1 << 10),
        torch.empty(1 << 40, device="meta"),
        torch.sparse_coo_tensor([[0]], [1.0], (1 << 30,), check_invariants=True),
    ],
    ids=["one number", "one row", "no values", "sparse"],
)
def test_tensors_that_are_larger_than_the_file(path, value, legacy):
    torch.save({"weights": {"a": value}}, path, _use_new_zipfile_serialization=not legacy)
    assert path.stat().st_size < 10_000
    with pytest.raises(TensorFileError, match=r"plain tensors|forged|cannot be read"):
        read_pickle(path)


def test_values_that_have_two_names_count_once(path):
    weights = torch.rand(10_000)
    write(path, {"model": {"a": weights}, "ema": {"a": weights}})
    assert path.stat().st_size < 2 * weights.nbytes
    assert torch.equal(read_pickle(path).parts["ema"]["a"], weights)


def test_a_zip_that_would_grow(path):
    write(path, {"weights": torch.zeros(1 << 20)}, legacy=False)
    repacked(path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(TensorFileError, match="its parts are compressed"):
        read_pickle(path)


def test_containers_that_are_nested_too_deeply(path):
    deep = torch.zeros(1)
    for _ in range(200):
        deep = [deep]
    torch.save({"deep": deep}, path)
    with pytest.raises(TensorFileError, match="nested too deeply"):
        read_pickle(path)


def test_a_pipe_is_no_checkpoint(path):
    os.mkfifo(path)
    with pytest.raises(TensorFileError, match="found no file that can be read"):
        read_pickle(path)


def test_a_hole_is_no_checkpoint(path):
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(TensorFileError, match="does not begin like one"):
        read_pickle(path)
