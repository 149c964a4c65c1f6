"""Files of tensors come back as they were written, or are refused with one kind of error."""

import os

import pytest
import torch

from gf_env.storage.tensors import TensorFileError, load_tensors, save_tensors, tensor_file_kind
from tests.helpers.damage import flip

VALUES = {"b": torch.arange(6).view(2, 3), "a": torch.rand(4), "none": torch.empty(0, 3)}
CONFIG = {"size": 3, "name": "x"}
KIND = "test.Linear.v1"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def test_what_was_saved_comes_back(path):
    save_tensors(path, KIND, CONFIG, VALUES)
    config, found = load_tensors(path, KIND)
    assert config == CONFIG and found.keys() == VALUES.keys()
    assert all(torch.equal(found[name], value) for name, value in VALUES.items())
    assert all(found[name].dtype == value.dtype for name, value in VALUES.items())
    assert tensor_file_kind(path) == KIND


def test_equal_content_is_equal_bytes(path):
    contents = set()
    for _ in range(20):
        save_tensors(path, KIND, CONFIG, VALUES, origin="0")
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_every_byte_counts(path):
    save_tensors(path, KIND, CONFIG, VALUES, origin="0")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(flip(place)(whole))
        try:
            config, found = load_tensors(path, KIND)
        except TensorFileError:
            continue
        assert whole[place : place + 1] == b" "  # what fills the header up
        assert (config, found.keys()) == (CONFIG, VALUES.keys())


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, -1])
def test_a_cut_off_file(path, keep):
    save_tensors(path, KIND, CONFIG, VALUES)
    path.write_bytes(path.read_bytes()[:keep])
    for load in (lambda: load_tensors(path, KIND), lambda: tensor_file_kind(path)):
        if load is not None and keep != -1:
            with pytest.raises(TensorFileError, match="damaged"):
                load()
    with pytest.raises(TensorFileError, match="damaged"):
        load_tensors(path, KIND)


@pytest.mark.parametrize("make_it", [os.mkfifo, os.mkdir, lambda path: None])
def test_what_is_no_file(path, make_it):
    make_it(path)
    for load in (lambda: load_tensors(path, KIND), lambda: tensor_file_kind(path)):
        with pytest.raises(TensorFileError, match=r"file\.safetensors cannot be read"):
            load()


def test_another_kind(path):
    save_tensors(path, "other" * 100, CONFIG, VALUES)
    with pytest.raises(TensorFileError, match=r"to hold a 'test.*found 'other.*\.\.\.'$"):
        load_tensors(path, KIND)


@pytest.mark.parametrize("before", [b"", bytes(8), (1 << 50).to_bytes(8, "little"), None])
def test_a_hole_is_not_read(path, before):
    """What its header does not tell of may be of any size."""
    if before is None:
        save_tensors(path, KIND, CONFIG, VALUES)
    else:
        path.write_bytes(before)
    os.truncate(path, 1 << 40)
    with pytest.raises(TensorFileError, match=r"no header|longer or shorter"):
        load_tensors(path, KIND)
