import dataclasses

import numpy as np
import pytest
import timm
import torch

from gf_env.network.encoders.factory import image_settings, make_encoder
from gf_env.network.families import BACKBONES
from gf_env.network.glance_focus_net import load_network
from tests.helpers.official_checkpoints import NETWORKS, ONE_A_FAMILY
from tests.helpers.slow import slow_but
from tests.helpers.tiny import random_dataset, random_network


@pytest.mark.parametrize("name", slow_but(ONE_A_FAMILY, sorted(BACKBONES)))
@torch.no_grad()
def test_the_papers_networks_are_timms(name):
    encoder = make_encoder(name, 3, 7).eval()
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    encoding = encoder(images)
    _, channels, *_ = NETWORKS[name]
    length = 1280 if name.startswith("mobilenet") else channels
    assert encoding.features.shape == (2, channels, 3, 3)
    assert encoding.pooled.shape == (2, length)
    assert encoder.num_features == length
    features = encoder.model.forward_features(images)
    assert torch.equal(encoding.features, features)
    assert torch.equal(encoding.pooled, encoder.model.forward_head(features, pre_logits=True))
    assert torch.allclose(encoder.own_logits(encoding.pooled), encoder.model(images), atol=1e-5)
    if name != "mobilenetv3_large_125":
        plain = timm.create_model(BACKBONES[name].timm_name, num_classes=7)
        assert {f"model.{key}" for key in plain.state_dict()} == set(encoder.state_dict())


@pytest.mark.parametrize("name", slow_but(("mobilenetv3_large_100", "regnety_600m"), ONE_A_FAMILY))
@torch.no_grad()
def test_a_patch_size_that_is_no_multiple_of_32(name, tmp_path):
    dataset = random_dataset(count=2, size=60, channels=3)
    config = {"encoder": name, "patch_size": 40, "glance_interpolation": "bicubic"}
    network = random_network(**config, **dataclasses.asdict(dataset.spec))
    images = dataset.images(np.arange(2))
    glimpse = network.glance(images)
    looked = network.focus(images, torch.rand(2, 2), glimpse.hidden)
    assert looked.logits.shape == (2, 3)
    assert looked.features.shape == glimpse.features.shape
    network.save(tmp_path / "net.safetensors")
    loaded = load_network(tmp_path / "net.safetensors")
    assert torch.equal(loaded.glance(images).logits, glimpse.logits)
    assert loaded.step_cost == network.step_cost


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("regnety_1.6g", (224, 0.875, "bilinear")),
        ("efficientnet_b2", (260, 0.875, "bicubic")),
        ("efficientnet_b3", (300, 0.904, "bicubic")),
        ("resnet18", (224, 0.95, "bicubic")),  # timm's own settings
    ],
)
def test_images_a_backbone_is_made_for(name, expected):
    found = image_settings(name)
    assert (found["image_size"], found["crop_fraction"], found["resize_interpolation"]) == expected
    assert found["mean"] == (0.485, 0.456, 0.406)


def test_the_small_cnn_takes_any_image():
    assert image_settings("small-cnn") == {}
    with pytest.raises(ValueError, match="unknown encoder 'no-such-net'"):
        image_settings("no-such-net")


def test_dropout_of_the_pooled_vector_in_training():
    encoder = make_encoder("efficientnet_b2", 3, 7)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    zeros = [(encoder.train(mode)(images).pooled == 0).float().mean() for mode in (True, False)]
    assert zeros[0] == pytest.approx(0.3, abs=0.05)
    assert zeros[1] < 0.01


def test_a_network_without_a_feature_map():
    encoder = make_encoder("vit_tiny_patch16_224", 3, 4)
    with pytest.raises(ValueError, match="feature map"):
        encoder(torch.rand(1, 3, 224, 224))
