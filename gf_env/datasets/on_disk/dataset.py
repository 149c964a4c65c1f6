"""Images on disk as a `Dataset`: decoded when asked for, and brought to the network's size."""

import dataclasses
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import Augmented, Dataset, Fingerprinted, ImageSpec, imagenet_spec
from gf_env.datasets.on_disk.decodable import readable_images
from gf_env.datasets.on_disk.sources import RawImages
from gf_env.datasets.on_disk.transforms import augment, evaluation_transform


class ImageFiles(Dataset, Augmented, Fingerprinted):
    """Images of any size, decoded and resized whenever they are asked for.

    Those that cannot be opened or decoded raise a ValueError then.

    Args:
        name: what `load_dataset` was asked for.
        split: which part this is.
        source: the images.
        labels: (n,) the class of each image of the source.
        spec: what the images are made to be like.
        kept: (m,) int64 in [0, n), the images of the source that are in the split, in order; all
            by default.

    Attributes:
        num_skipped: how many images of the source are left out.
    """

    def __init__(
        self,
        name: str,
        split: str,
        source: RawImages,
        labels: NDArray[np.int64],
        spec: ImageSpec,
        kept: NDArray[np.int64] | None = None,
    ) -> None:
        self.name = name
        self.split = split
        self.spec = spec
        self._kept = np.arange(len(labels)) if kept is None else kept
        self.labels = labels[self._kept]
        self.num_skipped = len(labels) - len(self._kept)
        self._source = source
        self._transform = evaluation_transform(spec)

    @override
    def __len__(self) -> int:
        return len(self.labels)

    @override
    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        chosen = self._kept[indices].tolist()
        return torch.stack([self._transform(self._source.read(index)) for index in chosen])

    @override
    def fingerprint(self) -> str | None:
        mark = self._source.fingerprint()
        return None if mark is None else f"{mark} {zlib.crc32(self._kept.tobytes())}"

    @override
    def augmented_images(self, indices: NDArray[np.int64], seed: int) -> torch.Tensor:
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, got {seed}")
        return torch.stack([self._augmented(int(index), seed) for index in indices])

    def _augmented(self, index: int, seed: int) -> torch.Tensor:
        place = index % len(self)  # so that -1 is the last image in every respect
        image = self._source.read(int(self._kept[index]))
        return augment(image, self.spec, np.random.default_rng([seed, place]))


def image_files(
    name: str,
    split: str,
    source: RawImages,
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    like: ImageSpec | None,
    unreadable: str,
) -> ImageFiles:
    """Return a source as a data set; arguments and errors as of `load_dataset`."""
    spec = imagenet_spec(classes) if like is None else dataclasses.replace(like, classes=classes)
    kept = None
    if unreadable == "skip":
        kept = readable_images(source, f"{name}, split {split!r}", labels, classes)
    return ImageFiles(name, split, source, labels, spec, kept)
