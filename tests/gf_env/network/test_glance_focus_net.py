import dataclasses
import os
import pickle
from itertools import pairwise

import psutil
import pytest
import torch
from safetensors.torch import save as serialise

import gf_env
from gf_env.network import preprocessing
from gf_env.network.glance_focus_net import FILE_KIND, GlanceFocusNet, network_names
from gf_env.storage.tensors import save_tensors
from tests.helpers.damage import flip, refuse_to_write
from tests.helpers.tiny import tiny_config


def images(count=3, size=16):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 1, size, size), generator=generator).to(torch.uint8)


def test_glance_is_encoder_and_classifier_on_the_small_copy(tiny_network):
    whole = tiny_network.normalise(images())
    encoding = tiny_network.global_encoder(preprocessing.resize(whole, 8, "bilinear"))
    hidden = tiny_network.classifier.rnn(encoding.pooled, torch.zeros(3, 6))
    glimpse = tiny_network.glance(images())
    assert torch.allclose(glimpse.features, encoding.features, atol=1e-5)
    assert torch.allclose(glimpse.hidden, hidden, atol=1e-5)
    assert torch.allclose(glimpse.logits, tiny_network.classifier.fc(hidden), atol=1e-5)
    assert glimpse.features.shape == (3, 128, 1, 1)
    assert glimpse.logits.shape == (3, 3)


def test_focus_sees_the_patch_and_nothing_else(tiny_network):
    location = torch.tensor([[0.5, 1.0]])  # corner (4, 8)
    before = images(1)
    outside = before.clone()
    outside[:, :, :4] = 0
    inside = before.clone()
    inside[:, :, 4, 8] ^= 255
    hidden = torch.rand(1, 6)
    looks = [tiny_network.focus(each, location, hidden) for each in (before, outside, inside)]
    assert torch.equal(looks[0].logits, looks[1].logits)
    assert not torch.equal(looks[0].logits, looks[2].logits)


def test_bytes_and_normalised_floats_are_the_same_images(tiny_network):
    raw, normalised = images(), tiny_network.normalise(images())
    locations = torch.rand(3, 2, generator=torch.Generator().manual_seed(2))
    first, second = tiny_network.glance(raw), tiny_network.glance(normalised)
    assert torch.allclose(first.logits, second.logits, atol=1e-5)
    for each in (raw, normalised):
        assert torch.equal(
            tiny_network.focus(each, locations, first.hidden).logits,
            tiny_network.focus(raw, locations, first.hidden).logits,
        )


def test_state_is_an_argument_and_a_result(tiny_network):
    locations = torch.full((3, 2), 0.5)
    start = tiny_network.glance(images()).hidden
    once = tiny_network.focus(images(), locations, start)
    again = tiny_network.focus(images(), locations, start)
    assert torch.equal(once.logits, again.logits)
    onward = tiny_network.focus(images(), locations, once.hidden)
    assert not torch.equal(onward.logits, once.logits)


def test_save_and_load(tiny_network, tmp_path):
    path = tmp_path / "folder" / "net.safetensors"
    tiny_network.save(path)
    loaded = gf_env.load_network(path)
    assert loaded.config == tiny_network.config
    assert torch.equal(loaded.glance(images()).logits, tiny_network.glance(images()).logits)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert [item.name for item in path.parent.iterdir()] == ["net.safetensors"]


def test_a_failed_save_keeps_the_file_that_was_there(tiny_network, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    tiny_network.save(path)
    good = path.read_bytes()
    monkeypatch.setattr(os, "fsync", refuse_to_write)
    with pytest.raises(OSError, match="No space"):
        tiny_network.save(path)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_network_names_the_built_in_ones():
    with pytest.raises(ValueError, match=r"unknown network 'resnet'.*cluttered-digits"):
        gf_env.load_network("resnet")
    assert "cluttered-digits" in network_names()


class Bomb:
    def __reduce__(self):
        return (os.abort, ())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *((lambda content, keep=keep: content[:keep], "damaged") for keep in (0, 4, 1000, -1)),
        (flip(-5), "checksum"),
        (lambda _: pickle.dumps(Bomb()), "safetensors"),
        (lambda _: serialise({"weight": torch.zeros(2)}), r"expected .* to hold a 'gf_env\.Glance"),
    ],
    ids=["empty", "4 bytes", "1000 bytes", "one byte less", "altered", "a pickle", "another kind"],
)
def test_files_that_cannot_be_read(tiny_network, tmp_path, damage, message):
    path = tmp_path / "net.safetensors"
    tiny_network.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(gf_env.TensorFileError, match=message):
        gf_env.load_network(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "NetworkConfig: colour Unexpected keyword"),
        ({"patch_size": "small"}, "patch_size must be a valid integer"),
        ({"patch_size": 99}, "patch_size 99 does not fit"),
        ({"encoder": "no-such-net"}, "unknown encoder 'no-such-net'.*small-cnn.*resnet50"),
    ],
)
def test_files_of_a_configuration_that_cannot_be(tiny_network, tmp_path, changes, message):
    path = tmp_path / "net.safetensors"
    config = {**dataclasses.asdict(tiny_network.config), **changes}
    about = {"network": config, "multiply_adds": [1, 2]}
    save_tensors(path, FILE_KIND, about, tiny_network.state_dict())
    with pytest.raises(gf_env.TensorFileError, match=f"{path} holds a configuration.*{message}"):
        gf_env.load_network(path)


@pytest.mark.parametrize(
    "costs", [[], [-1], [1.5], [True], ["1"], [1] * 6, 3, None, {"0": 1}, [10**400, -1]], ids=str
)
def test_costs_that_cannot_be(tiny_network, tmp_path, costs):
    path = tmp_path / "net.safetensors"
    about = {"network": dataclasses.asdict(tiny_network.config), "multiply_adds": costs}
    save_tensors(path, FILE_KIND, about, tiny_network.state_dict())
    with pytest.raises(gf_env.TensorFileError, match="multiply_adds must be one to 5 whole"):
        gf_env.load_network(path)


@pytest.mark.parametrize("encoder", ["convnext_xxlarge", "resnet50", "eva_giant_patch14_560"])
def test_a_small_file_that_names_a_large_network_is_refused(tiny_network, tmp_path, encoder):
    path = tmp_path / "net.safetensors"
    config = {**dataclasses.asdict(tiny_network.config), "encoder": encoder}
    about = {"network": config, "multiply_adds": [1]}
    save_tensors(path, FILE_KIND, about, {"one": torch.zeros(1)})
    before = psutil.Process().memory_info().rss
    with pytest.raises(gf_env.TensorFileError, match=r"is missing.*more|far larger network"):
        gf_env.load_network(path)
    assert psutil.Process().memory_info().rss - before < 300e6


def test_weights_of_another_configuration(tiny_network, tmp_path):
    path = tmp_path / "net.safetensors"
    object.__setattr__(tiny_network, "config", tiny_config(hidden_size=7))
    tiny_network.save(path)
    with pytest.raises(gf_env.TensorFileError, match=r"classifier.* is \(.*instead of"):
        gf_env.load_network(path)


def test_counting_and_saving_leave_a_network_in_training_as_it_is(tmp_path):
    network = GlanceFocusNet(tiny_config()).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.save(tmp_path / "net.safetensors")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 17}, "patch_size 17 does not fit images of 16 x 16"),
        ({"patch_size": 0}, "patch_size 0"),
        ({"channels": 2}, "channels must be 1 or 3"),  # and all else that `ImageSpec` checks
        ({"sequence_length": 1}, "sequence_length must be greater than or equal to 2, got 1"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"glance_interpolation": "nearest"}, "bilinear.*bicubic.*area"),
        ({"classifier": "linear"}, "classifier must be 'recurrent' or 'cascaded', got 'linear'"),
        ({"first_step": "last"}, "first_step must be .*'own_head_at_inference', got 'last'"),
        ({"classifier": "cascaded"}, "first_step must be 'own_head', got 'classifier'"),
    ],
)
def test_impossible_configurations(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


def test_wrong_images_and_locations(tiny_network):
    with pytest.raises(ValueError, match=r"\(n, 1, 16, 16\), got \(3, 1, 20, 20\)"):
        tiny_network.glance(images(size=20))
    with pytest.raises(ValueError, match=r"locations of shape \(3, 2\), got \(2, 2\)"):
        tiny_network.focus(images(), torch.zeros(2, 2), torch.zeros(3, 6))


def test_multiply_adds_counted_by_hand(tiny_network):
    widths = [1, 16, 16, 32, 64, 64, 128]
    sides = [8, 4, 4, 2, 2, 1]  # after each layer, on 8 x 8 input
    layers = zip(pairwise(widths), sides, strict=True)
    convolutions = sum(9 * into * out * side * side for (into, out), side in layers)
    gru = 3 * 6 * (128 + 6)
    linear = 6 * 3
    cost = tiny_network.step_cost
    assert cost.steps == (convolutions + gru + linear,) * 5
    assert cost.cumulative(3) == [cost.steps[0] * k for k in (1, 2, 3)]
    assert isinstance(cost.steps[1], int)
