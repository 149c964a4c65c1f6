"""How the paper trains each family, as configurations of `agents.training` to start from.

After the release (blackfeather-wang/GFNet-Pytorch at 8a6775c). The release starts from weights for
ImageNet, here those that timm fetches; how its weights for the patch's size were tuned it does not
say, so that schedule is ours.
"""

from __future__ import annotations

from collections.abc import Callable

from agents.paper_ppo import PaperPPOConfig
from agents.training_config import DataConfig, Given, TrainConfig
from gf_env.families import family_of
from gf_env.training.optimise import OptimiserConfig
from gf_env.training.recipe import Recipe

BUILTIN = "cluttered-digits"


def _paper(
    encoder: str,
    *,
    learning_rate: float,
    weight_decay: float,
    epochs: int,
    auxiliary_weight: float,
    train_global_encoder: bool,
) -> TrainConfig:
    family = family_of(encoder)
    assert family is not None  # the names below are the paper's

    def schedule(epochs: int, classifier_learning_rate: float) -> OptimiserConfig:
        return OptimiserConfig(
            epochs=epochs,
            learning_rate=learning_rate,
            classifier_learning_rate=classifier_learning_rate,
            weight_decay=weight_decay,
            warmup_fraction=0.0,
            anneal="epoch",
        )

    return TrainConfig(
        data=DataConfig(dataset="data/imagenet", network_split="train", test_split="validation"),
        recipe=Recipe(
            encoder=encoder,
            patch_size=96,
            hidden_size=1024,
            glance_interpolation=family.glance_interpolation,
            classifier=family.classifier,
            first_step=family.first_step,
            full_resolution=schedule(0, 0.1),
            low_resolution=schedule(30, 0.1),
            stage1=schedule(epochs, 0.1),
            stage3=schedule(epochs, 0.01),
            auxiliary_weight=auxiliary_weight,
            train_global_encoder=train_global_encoder,
        ),
        stage2=PaperPPOConfig(
            epochs=15,
            state_encoder=family.state_encoder,
            hidden_size=family.policy_hidden_size,
        ),
        given=Given(full_resolution="timm"),
    )


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    BUILTIN: TrainConfig,
    "resnet": lambda: _paper(
        "resnet50",
        learning_rate=0.01,
        weight_decay=1e-4,
        epochs=60,
        auxiliary_weight=1.0,
        train_global_encoder=True,
    ),
    "densenet": lambda: _paper(
        "densenet121",
        learning_rate=0.01,
        weight_decay=1e-4,
        epochs=60,
        auxiliary_weight=1.0,
        train_global_encoder=True,
    ),
    "regnet": lambda: _paper(
        "regnety_600m",
        learning_rate=0.02,
        weight_decay=5e-5,
        epochs=60,
        auxiliary_weight=1.0,
        train_global_encoder=True,
    ),
    "efficientnet": lambda: _paper(
        "efficientnet_b2",
        learning_rate=0.005,
        weight_decay=1e-4,
        epochs=30,
        auxiliary_weight=5.0,
        train_global_encoder=False,
    ),
    "mobilenetv3": lambda: _paper(
        "mobilenetv3_large_100",
        learning_rate=0.005,
        weight_decay=1e-4,
        epochs=90,
        auxiliary_weight=5.0,
        train_global_encoder=False,
    ),
}
"""By the family's name; other members of a family are named by `--recipe.encoder`."""


def preset(name: str) -> TrainConfig:
    """Return the preset of that name.

    Raises:
        ValueError: unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {list(PRESETS)}")
    return PRESETS[name]()
