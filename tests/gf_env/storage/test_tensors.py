"""Files of tensors come back as they were written, or are refused with one kind of error."""

import json
import os

import pytest
import torch
from safetensors.torch import save

from gf_env.storage import tensors
from gf_env.storage.tensors import (
    TensorFileError,
    load_module,
    load_tensors,
    make_for,
    save_module,
    save_tensors,
    tensor_file_kind,
    tensors_digest,
)
from tests.helpers.damage import flip

VALUES = {"b": torch.arange(6).view(2, 3), "a": torch.rand(4), "none": torch.empty(0, 3)}
CONFIG = {"size": 3, "name": "x"}
KIND = "test.Linear.v1"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def make(config):
    return torch.nn.Linear(config["inputs"], config["outputs"])


def forge(path, config, values, kind=KIND):
    """Write any configuration and tensors with the checksum of just these."""
    config = config if isinstance(config, str) else json.dumps(config)
    metadata = {"kind": kind, "config": config, "sha256": tensors_digest(config, values)}
    path.write_bytes(save(values, metadata))
    return path


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


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "null",
        "3",
        '{"inputs": NaN}',
        '{"inputs": 1e999}',
        "[" * 100_000,
        {},
        {"inputs": 2},
        {"inputs": "2", "outputs": 3},
        {"inputs": -2, "outputs": 3},
        {"inputs": 2.5, "outputs": 3},
        {"inputs": 10**30, "outputs": 3},
        {"inputs": 1 << 40, "outputs": 1 << 20},
        {"inputs": 1 << 20, "outputs": 1 << 14},
        {"inputs": {}, "outputs": []},
    ],
    ids=lambda config: str(config)[:30],
)
def test_configurations_that_cannot_be(path, config):
    forge(path, config, torch.nn.Linear(2, 3).state_dict())
    with pytest.raises(TensorFileError, match="configuration that cannot be"):
        load_module(path, KIND, make, "cpu")


LINEAR = {"weight": torch.rand(3, 2), "bias": torch.rand(3)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": torch.rand(4)}, r"bias is \(4,\) instead of \(3,\)"),
        ({"weight": torch.rand(2, 3)}, r"weight is \(2, 3\) instead of \(3, 2\)"),
        ({"bias": torch.rand(3).double()}, r"bias is torch\.float64 instead of torch\.float32"),
        ({"bias": torch.rand(3).half()}, r"bias is torch\.float16 instead of"),
        ({"bias": torch.arange(3)}, r"bias is torch\.int64 instead of"),
        ({"more": torch.rand(3)}, "more is foreign"),
        ({"bias": None}, "bias is missing"),
        ({"bias": torch.tensor([0, float("nan"), 0])}, "NaN or infinity in bias"),
        ({"weight": torch.full((3, 2), float("-inf"))}, "NaN or infinity in weight"),
    ],
)
def test_tensors_that_are_not_the_modules(path, changes, message):
    changed = {name: value for name, value in {**LINEAR, **changes}.items() if value is not None}
    forge(path, {"inputs": 2, "outputs": 3}, changed)
    with pytest.raises(TensorFileError, match=message):
        load_module(path, KIND, make, "cpu")


def test_a_module_comes_back_laid_out_as_it_was(path):
    def convolution(config):
        return torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).to(
            memory_format=torch.channels_last
        )

    module = convolution({})
    save_module(path, KIND, {}, module)
    found = load_module(path, KIND, convolution, "cpu")
    assert not found.training
    assert not any(each.requires_grad for each in found.parameters())
    for name, value in module.state_dict().items():
        again = found.state_dict()[name]
        assert torch.equal(again, value)
        assert (again.stride(), again.dtype, again.device) == (
            value.stride(), value.dtype, value.device
        )  # fmt: skip


def test_where_weights_came_from_is_kept(path):
    module = torch.nn.Linear(2, 3)
    tensors.set_origin(module, "0123")
    save_module(path, KIND, {"inputs": 2, "outputs": 3}, module)
    again = load_module(path, KIND, make, "cpu")
    assert again.origin == "0123"
    save_module(path, KIND, {"inputs": 2, "outputs": 3}, again)
    assert load_module(path, KIND, make, "cpu").origin == "0123"
    path.write_bytes(path.read_bytes().replace(b'"0123"', b'"0124"'))
    with pytest.raises(TensorFileError, match="checksum"):
        load_module(path, KIND, make, "cpu")


def test_a_module_of_far_more_tensors_is_given_up_early(path):
    made = []

    def endless():
        for _ in range(10**6):
            made.append(torch.nn.Linear(1, 1))

    with pytest.raises(TensorFileError, match="far larger network than there are weights for"):
        make_for(LINEAR, endless, path)
    assert len(made) < 10_000


def test_nothing_is_left_on_after_a_failure(path):
    with pytest.raises(TensorFileError):
        make_for(LINEAR, lambda: make({"inputs": 1 << 16, "outputs": 1 << 10}), path)
    assert not torch.nn.Linear(2, 2).weight.is_meta


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
