"""Encoders by name: the small CNN, or any network of timm."""

from __future__ import annotations

from types import ModuleType

import torch

from gf_env.network.encoders.base import Encoder, ImageSettings
from gf_env.network.encoders.small_cnn import SMALL_CNN, SmallCNN


def image_settings(name: str) -> ImageSettings | None:
    """Return what images a backbone is made for, or None where it takes any, as `small-cnn` does.

    Raises:
        ValueError: unknown name.
    """
    if name == SMALL_CNN:
        return None
    settings: ImageSettings = _timm(name).timm_image_settings(name)
    return settings


def make_encoder(name: str, channels: int, num_classes: int) -> Encoder:
    """Return a new encoder with random weights.

    Args:
        name: `small-cnn`, a name in `gf_env.network.families.BACKBONES`, or any of timm's.
        channels: of the images.
        num_classes: number of logits of its own head.

    Raises:
        ValueError: unknown name.
    """
    if name == SMALL_CNN:
        return SmallCNN(channels, num_classes)
    encoder: Encoder = _timm(name).TimmEncoder(name, channels, num_classes)
    return encoder


def pretrained_weights(name: str, channels: int) -> dict[str, torch.Tensor]:
    """Return the weights that timm fetches for a backbone, by the encoder's names.

    Raises:
        ValueError: timm has none for it.
    """
    if name == SMALL_CNN:
        raise ValueError(f"there are no weights to fetch for {SMALL_CNN!r}; give a file instead")
    weights: dict[str, torch.Tensor] = _timm(name).pretrained_timm_weights(name, channels)
    return weights


def _timm(name: str) -> ModuleType:
    """Return the module of timm's encoders, which knows the name."""
    # timm takes two seconds to import, and the built-in task does without
    from gf_env.network import families
    from gf_env.network.encoders import timm_encoder

    if not timm_encoder.is_timm_name(name):
        raise ValueError(
            f"unknown encoder {name!r}; choose {SMALL_CNN!r}, one of "
            f"{sorted(families.BACKBONES)}, or another name that timm knows "
            "(timm.list_models())"
        )
    return timm_encoder
