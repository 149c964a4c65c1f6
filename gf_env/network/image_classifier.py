"""A plain classifier of whole images at one size.

GFNet's encoders start from such classifiers, and GFNet is compared with them.
"""

import dataclasses
import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import nn

from gf_env.configuration import configuration
from gf_env.datasets.base import Dataset, ImageSpec
from gf_env.datasets.batches import Loading, read_batches
from gf_env.network.config import Interpolation
from gf_env.network.encoders.base import Encoding
from gf_env.network.encoders.factory import make_encoder
from gf_env.network.preprocessing import Normalise
from gf_env.storage.modules import load_module, save_module

FILE_KIND = "gf_env.ImageClassifier.v1"


@configuration
class ImageClassifierConfig:
    """Everything that is needed to build a classifier anew.

    Attributes:
        encoder: name of the backbone.
        input_size: what images are resized to, pixels; the image's own size leaves them as they
            are.
        interpolation: `bilinear`, `bicubic` or `area`, for the resizing.
        images: what images are like.
    """

    encoder: str
    input_size: PositiveInt
    interpolation: Interpolation
    images: ImageSpec


class ImageClassifier(nn.Module):
    """An encoder with its own head on whole images.

    Args:
        config: see `ImageClassifierConfig`.
    """

    def __init__(self, config: ImageClassifierConfig) -> None:
        super().__init__()
        self.config = config
        images = config.images
        self.normalise = Normalise(images.mean, images.std)
        self.encoder = make_encoder(config.encoder, images.channels, len(images.classes))
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes) of images (n, C, S, S), uint8 or normalised float."""
        return self.encoder.own_logits(self.encode(images).pooled)

    def encode(self, images: torch.Tensor) -> Encoding:
        """Encode images (n, C, S, S), resized."""
        inputs = self.normalise.small(images, self.config.input_size, self.config.interpolation)
        encoding: Encoding = self.encoder(inputs)
        return encoding

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration, as `save_module` does."""
        save_module(path, FILE_KIND, dataclasses.asdict(self.config), self)


def load_image_classifier(
    path: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> ImageClassifier:
    """Return the classifier in a file written by `ImageClassifier.save`; see `load_module`."""

    def make(config: dict[str, Any]) -> ImageClassifier:
        return ImageClassifier(ImageClassifierConfig(**config))

    return load_module(path, FILE_KIND, make, device)


def measure_accuracy(
    classifier: ImageClassifier,
    dataset: Dataset,
    *,
    batch_size: int = 250,
    loading: Loading | None = None,
) -> float:
    """Return the share of a data set's images that a plain classifier in eval mode gets right.

    Args:
        classifier: on the device of `loading`.
        dataset: the images.
        batch_size: images at a time.
        loading: device and workers; by default the classifier's device and none.
    """
    return float(right_answers(classifier, dataset, batch_size=batch_size, loading=loading).mean())


@torch.no_grad()
def right_answers(
    classifier: ImageClassifier,
    dataset: Dataset,
    *,
    batch_size: int = 250,
    loading: Loading | None = None,
) -> NDArray[np.bool_]:
    """Return which images a plain classifier gets right, (n,); arguments of `measure_accuracy`."""
    loading = Loading(classifier.normalise.mean.device) if loading is None else loading
    indices = np.arange(len(dataset))
    batches = np.split(indices, range(batch_size, len(dataset), batch_size))
    parts = [
        (classifier(batch.images).argmax(1) == batch.labels).cpu().numpy()
        for batch in read_batches(dataset, batches, loading)
    ]
    return np.concatenate(parts)
