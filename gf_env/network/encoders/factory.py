"""Encoders by name: the small CNN, or any network of timm.

timm takes two seconds to import, so it is imported only where one of its networks is asked for.
"""

from __future__ import annotations

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
    from gf_env.network.encoders.timm_encoder import timm_image_settings

    return timm_image_settings(name)


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
    from gf_env.network.encoders.timm_encoder import TimmEncoder

    return TimmEncoder(name, channels, num_classes)


def pretrained_weights(name: str, channels: int) -> dict[str, torch.Tensor]:
    """Return the weights that timm fetches for a backbone, by the encoder's names.

    Raises:
        ValueError: unknown name, or timm has none for it.
    """
    if name == SMALL_CNN:
        raise ValueError(f"there are no weights to fetch for {SMALL_CNN!r}; give a file instead")
    from gf_env.network.encoders.timm_encoder import pretrained_timm_weights

    return pretrained_timm_weights(name, channels)
