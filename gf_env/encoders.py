"""Backbones f_G and f_L, from image to feature map e_t and pooled vector (paper, section 3.1).

Every encoder also has a head of its own, from pooled vector to logits. It is what the
encoder is trained with before it becomes part of a `GlanceFocusNet`, and it gives the auxiliary
loss of stage 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import torch
from torch import nn


class Encoding(NamedTuple):
    """What an encoder makes of n images.

    Attributes:
        features: (n, channels, h, w), the feature map e_t.
        pooled: (n, num_features).
    """

    features: torch.Tensor
    pooled: torch.Tensor


class Encoder(nn.Module):
    """What the rest of the system asks of a backbone.

    Attributes:
        num_features: length of the pooled vector.
        prefix: what the backbone's own names of its tensors begin with here.
    """

    num_features: int
    prefix: str = ""

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images."""
        raise NotImplementedError

    @property
    def own_head(self) -> nn.Module:
        """The layer from pooled vectors (n, num_features) to logits (n, classes)."""
        raise NotImplementedError

    def own_logits(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return what the encoder's own head makes of pooled vectors, logits (n, classes)."""
        logits: torch.Tensor = self.own_head(pooled)
        return logits

    def head_names(self) -> list[str]:
        """Return the names of the own head's tensors."""
        (name,) = (name for name, module in self.named_modules() if module is self.own_head)
        return [f"{name}.{part}" for part in self.own_head.state_dict()]


_PIXELS_AT_ONCE = 1 << 16
_IMAGES_AT_ONCE = 32
"""At least so many images are in a part, or the cost of a call shows."""


def encode(encoder: Encoder, images: torch.Tensor, pixels_at_once: int | None = None) -> Encoding:
    """Encode images, in parts as `in_parts` does.

    Args:
        encoder: any.
        images: (n, C, height, width) float.
        pixels_at_once: how large a part is; None: what suits float32.
    """
    return in_parts(
        lambda rows: encoder(images[rows]),
        len(images),
        images.shape[-2] * images.shape[-1],
        whole=runs_whole(encoder, images),
        pixels_at_once=pixels_at_once,
    )


def runs_whole(encoder: Encoder, images: torch.Tensor) -> bool:
    """Whether images should not be encoded in parts.

    In training they depend on each other, and with gradients all maps are kept anyway; on a GPU
    there is nothing to gain.
    """
    return encoder.training or torch.is_grad_enabled() or images.device.type != "cpu"


def in_parts(
    run: Callable[[slice], Encoding],
    count: int,
    pixels: int,
    *,
    whole: bool,
    pixels_at_once: int | None = None,
) -> Encoding:
    """Encode images part by part, so that the CPU's caches hold the maps of a part.

    Large batches then take up to 1.7 times less time, see docs/PERFORMANCE.md.

    Args:
        run: encodes some rows.
        count: n rows in all.
        pixels: of one image.
        whole: all rows at once instead.
        pixels_at_once: of the images in a part; None: what suits float32.
    """
    part = max(_IMAGES_AT_ONCE, (pixels_at_once or _PIXELS_AT_ONCE) // pixels)
    number = 1 if whole else max(1, -(-count // part))
    if number == 1:
        return run(slice(0, count))
    bounds = [count * i // number for i in range(number + 1)]
    parts = [run(slice(*pair)) for pair in itertools.pairwise(bounds)]
    return Encoding(*(torch.cat(values) for values in zip(*parts, strict=True)))


class SmallCNN(Encoder):
    """Six 3 x 3 convolutions and global max pooling, total stride 8; for the built-in task."""

    LAYERS = ((16, 1), (16, 2), (32, 1), (64, 2), (64, 1), (128, 2))
    """(channels, stride) of each convolution."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for next_width, stride in self.LAYERS:
            layers += [
                nn.Conv2d(width, next_width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(next_width),
                nn.ReLU(inplace=True),
            ]
            width = next_width
        self.layers = nn.Sequential(*layers)
        self.num_features = width
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images; maps are an eighth in size, rounded up."""
        features = self.layers(images)
        return Encoding(features, features.amax(dim=(2, 3)))

    @property
    def own_head(self) -> nn.Module:
        """The linear layer on the pooled vector."""
        return self.head


SMALL_CNN = "small-cnn"


class ImageSettings(NamedTuple):
    """What colour images a backbone is made for; see `gf_env.ImageSpec`.

    Attributes:
        image_size: pixels.
        mean: of the three channels, on the scale [0, 1].
        std: likewise.
        crop_fraction: share of the resized image's side that is kept.
        resize_interpolation: `bilinear` or `bicubic`.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_fraction: float
    resize_interpolation: str


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
        name: `small-cnn`, a name in `gf_env.timm_encoder.PAPER_NAMES`, or any of timm's.
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
    from gf_env import timm_encoder

    if not timm_encoder.is_timm_name(name):
        raise ValueError(
            f"unknown encoder {name!r}; choose {SMALL_CNN!r}, one of "
            f"{sorted(timm_encoder.PAPER_NAMES)}, or another name that timm knows "
            "(timm.list_models())"
        )
    return timm_encoder
