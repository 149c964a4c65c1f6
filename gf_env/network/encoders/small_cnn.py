"""The small backbone of the built-in tasks."""

import torch
from torch import nn
from typing_extensions import override

from gf_env.network.encoders.base import Encoder, Encoding


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
        return Encoding(features, self.pool(features))

    @override
    def pool(self, features: torch.Tensor) -> torch.Tensor:
        return features.amax(dim=(2, 3))

    @property
    def own_head(self) -> nn.Module:
        """The linear layer on the pooled vector."""
        return self.head


SMALL_CNN = "small-cnn"
