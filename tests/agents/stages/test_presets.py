"""The presets are what the paper's release does, family by family."""

import dataclasses

import pytest
import torch

from agents.learners.paper_ppo import PaperPPOConfig
from agents.stages.presets import DATA_SET_PRESETS, PRESETS, TASK_PRESETS, preset
from gf_env.network.families import family_of
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.training.recipe import Recipe
from gf_env.training.schedule import OptimiserConfig

# backbone rate, weight decay, epochs, lambda, global encoder trained
PAPER = {
    "resnet": (0.01, 1e-4, 60, 1, True),
    "densenet": (0.01, 1e-4, 60, 1, True),
    "regnet": (0.02, 5e-5, 60, 1, True),
    "efficientnet": (0.005, 1e-4, 30, 5, False),
    "mobilenetv3": (0.005, 1e-4, 90, 5, False),
}


@pytest.mark.parametrize("name", PAPER)
def test_schedules(name):
    config = preset(name).config
    rate, decay, epochs, weight, trained = PAPER[name]
    for stage, classifier_rate in ((config.recipe.stage1, 0.1), (config.recipe.stage3, 0.01)):
        assert stage == OptimiserConfig(
            epochs=epochs,
            learning_rate=rate,
            classifier_learning_rate=classifier_rate,
            weight_decay=decay,
            momentum=0.9,
            batch_size=256,
            warmup_fraction=0,
            anneal="epoch",
        )
    assert config.recipe.auxiliary_weight == weight
    assert config.recipe.train_global_encoder is trained
    assert config.given.full_resolution == "timm"
    family = family_of(config.recipe.encoder)
    assert config.stage2 == PaperPPOConfig(
        epochs=15,
        num_envs=256,
        learning_rate=3e-4,
        gamma=0.7,
        clip_range=0.2,
        vf_coef=0.5,
        action_std=0.1,
        state_encoder=family.state_encoder,
        hidden_size=family.policy_hidden_size,
    )


@pytest.mark.parametrize("name", PAPER)
@torch.no_grad()
def test_glance_and_focus_with_each_family(name):
    recipe = preset(name).config.recipe
    wanted = recipe.wanted_images()
    assert wanted.image_size == (260 if name == "efficientnet" else 224)
    images = dataclasses.replace(wanted, classes=("a", "b", "c"))
    network = GlanceFocusNet(recipe.network_config(images)).eval()
    batch = torch.zeros(2, 3, images.image_size, images.image_size, dtype=torch.uint8)
    glimpse = network.glance(batch)
    for _ in range(recipe.sequence_length - 1):
        glimpse = network.focus(batch, torch.rand(2, 2), glimpse.hidden)
    assert glimpse.logits.shape == (2, 3)
    assert glimpse.features.shape[2:] == (3, 3)


def test_size_and_crop_of_files():
    assert Recipe().wanted_images() is None
    small = Recipe(image_size=96, crop_fraction=1.0).wanted_images()
    assert (small.image_size, small.crop_fraction) == (96, 1.0)
    b3 = Recipe(encoder="efficientnet_b3").wanted_images()
    assert (b3.image_size, b3.crop_fraction) == (300, 0.904)


def test_unknown_preset():
    with pytest.raises(ValueError, match=r"unknown preset 'alexnet'.*cluttered-digits.*resnet"):
        preset("alexnet")
    assert set(PRESETS) == {*TASK_PRESETS, *DATA_SET_PRESETS, *PAPER}
