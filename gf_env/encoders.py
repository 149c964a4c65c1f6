"""Backbones f_G and f_L, from image to feature map e_t and pooled vector (paper, section 3.1).

Every encoder also has a linear head of its own, from pooled vector to logits. It is what the
encoder is trained with before it becomes part of a `GlanceFocusNet`, and it gives the auxiliary
loss of stage 1.
"""

from __future__ import annotations

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
        head: the encoder's own classifier, pooled vector to logits.
    """

    num_features: int
    head: nn.Linear

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images."""
        raise NotImplementedError


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


ENCODERS: dict[str, type[SmallCNN]] = {"small-cnn": SmallCNN}


def make_encoder(name: str, channels: int, num_classes: int) -> Encoder:
    """Return a new encoder with random weights.

    Raises:
        ValueError: unknown name.
    """
    if name not in ENCODERS:
        raise ValueError(f"unknown encoder {name!r}; choose one of {sorted(ENCODERS)}")
    return ENCODERS[name](channels, num_classes)
