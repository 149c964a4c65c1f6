"""Modules come back from files as they were written, or are refused with one kind of error."""

import json

import pytest
import torch
from safetensors.torch import save

from gf_env.storage.modules import load_module, make_for, save_module, set_origin
from gf_env.storage.tensors import TensorFileError, tensors_digest

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
        ({"bias": torch.rand(3).bfloat16()}, r"bias is torch\.bfloat16 instead of"),
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


def test_half_the_room(path):
    module = torch.nn.BatchNorm1d(3000)  # it counts its batches, with integers
    module.running_mean.normal_()
    save_module(path, KIND, {}, module)
    whole = path.stat().st_size
    save_module(path, KIND, {}, module, half=True)
    assert path.stat().st_size < 0.55 * whole
    found = load_module(path, KIND, lambda _: torch.nn.BatchNorm1d(3000), "cpu").state_dict()
    for name, value in module.state_dict().items():
        assert found[name].dtype == value.dtype
        torch.testing.assert_close(found[name], value, rtol=2**-11, atol=1e-7)
    module.running_var[7] = 1e5
    with pytest.raises(ValueError, match="running_var has weights that are too large"):
        save_module(path, KIND, {}, module, half=True)


def test_where_weights_came_from_is_kept(path):
    module = torch.nn.Linear(2, 3)
    set_origin(module, "0123")
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
