"""Weights that training starts from, in every form that they come in."""

import dataclasses
from unittest import mock

import pytest
import timm
import torch
from safetensors.torch import save_file

from gf_env.datasets import ImageSpec
from gf_env.network.image_classifier import ImageClassifier, ImageClassifierConfig
from gf_env.storage.tensors import TensorFileError
from gf_env.training.starting_weights import load_starting_weights

SPEC = ImageSpec(32, 3, ("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)
NAME = "mobilenetv3_small_050"


def classifier(encoder=NAME, classes=("a", "b", "c")):
    spec = dataclasses.replace(SPEC, classes=classes)
    return ImageClassifier(ImageClassifierConfig(encoder, 32, "bilinear", spec)).eval()


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(5)
    return timm.create_model(NAME, num_classes=3).eval()


IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", ["flat", "state_dict", "model", "module", "legacy"])
def test_torch_files_by_timms_names(source, tmp_path, form):
    weights = source.state_dict()
    if form == "module":
        weights = {f"module.{name}": value for name, value in weights.items()}
    content = {form: weights, "epoch": 3} if form in ("state_dict", "model") else weights
    path = str(tmp_path / "weights.pth")
    torch.save(content, path, _use_new_zipfile_serialization=form != "legacy")
    made = classifier()
    load_starting_weights(made, path)
    assert torch.allclose(made(IMAGES), source(IMAGES), atol=1e-6)


@pytest.fixture
def timm_file(source, tmp_path):
    save_file(source.state_dict(), tmp_path / "timm.safetensors")
    return str(tmp_path / "timm.safetensors")


def test_safetensors_by_timms_names_and_our_own_files(source, timm_file, tmp_path):
    first, second = classifier(), classifier()
    load_starting_weights(first, timm_file)
    assert torch.allclose(first(IMAGES), source(IMAGES), atol=1e-6)
    first.save(tmp_path / "ours.safetensors")
    load_starting_weights(second, str(tmp_path / "ours.safetensors"))
    assert torch.equal(second(IMAGES), first(IMAGES))


def test_weights_for_other_classes_keep_the_head(source, timm_file):
    made = classifier(classes=("a", "b"))
    head = made.encoder.own_head.weight.clone()
    with pytest.warns(UserWarning, match=r"other classes \(3 of them\)"):
        load_starting_weights(made, timm_file)
    assert torch.equal(made.encoder.own_head.weight, head)
    assert torch.equal(made.encoder.model.conv_stem.weight, source.conv_stem.weight)


def test_timm_fetches(monkeypatch, source):
    """Nothing is fetched here: what timm would give is put in its place."""
    asked = []

    def create(name, pretrained=False, **arguments):
        asked.append((name, pretrained, arguments))
        return source

    made = classifier()
    monkeypatch.setattr("gf_env.network.encoders.timm_encoder.timm.create_model", create)
    monkeypatch.setattr("huggingface_hub.get_session", mock.Mock())  # which answers
    load_starting_weights(made, "timm")
    assert asked == [(NAME, True, {"in_chans": 3})]
    assert torch.allclose(made(IMAGES), source(IMAGES), atol=1e-6)


def test_timm_has_nothing_to_fetch():
    with pytest.raises(ValueError, match="no weights to fetch for 'small-cnn'"):
        load_starting_weights(classifier("small-cnn"), "timm")


def test_weights_of_another_architecture(timm_file):
    with pytest.raises(TensorFileError, match=r"is missing.*and \d+ more"):
        load_starting_weights(classifier("resnet10t"), timm_file)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_damaged_and_missing_files(tmp_path, name):
    with pytest.raises(TensorFileError, match="found no file"):
        load_starting_weights(classifier(), str(tmp_path / name))
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(TensorFileError, match=f"{name} cannot be read"):
        load_starting_weights(classifier(), str(tmp_path / name))
