"""Encoders by name: the small CNN, or any network of timm.

timm takes two seconds to import, so it is imported only where one of its networks is asked for.
"""

from typing import Any

import torch

from gf_env.network.encoders.base import Encoder
from gf_env.network.encoders.small_cnn import SMALL_CNN, SmallCNN


def image_settings(name: str) -> dict[str, Any]:
    """Return what colour images a backbone is made for: fields of `ImageSpec`, by name.

    They are `image_size`, `mean`, `std`, `crop_fraction` and `resize_interpolation`; none of them
    for `small-cnn`, which takes any image.

    Raises:
        ValueError: unknown name.
    """
    if name == SMALL_CNN:
        return {}
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
