"""What every data set here offers: uint8 images by index, labels, and a description of both."""

import dataclasses
import hashlib
import json
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from gf_env.configuration import configuration

UNREADABLE = ("stop", "skip")
"""What can be done about an image file that cannot be decoded."""

_Number = Annotated[int | float, Field(allow_inf_nan=False)]
"""Ints stay ints, since digests of data sets are taken over how they are written."""

LARGEST_IMAGES = 1 << 14
"""Pixels; a forged file that says more would take all memory when the first image is read."""


@configuration
class ImageSpec:
    """What a network has to know of the images it is made for.

    Attributes:
        image_size: height and width S in pixels; images are square.
        channels: 1 (grey) or 3 (RGB).
        classes: class names, in label order.
        mean: per-channel mean of the pixels on the scale [0, 1].
        std: per-channel standard deviation on the same scale.
        crop_fraction: files are resized to image_size / crop_fraction on the short side, and the
            centre is cut out.
        resize_interpolation: `bilinear` or `bicubic`, for that resizing.
    """

    image_size: Annotated[int, Field(gt=0, le=LARGEST_IMAGES)]
    channels: Literal[1, 3]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    mean: tuple[_Number, ...]
    std: tuple[Annotated[_Number, Field(gt=0)], ...]
    crop_fraction: Annotated[_Number, Field(ge=0.1, le=1)] = 0.875
    resize_interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        """Check that mean and std fit the channels."""
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(
                f"mean and std need one value for each of {self.channels} channels, "
                f"got {self.mean} and {self.std}"
            )


def imagenet_spec(classes: tuple[str, ...]) -> ImageSpec:
    """Return ImageNet's usual size and normalisation, for images of some classes."""
    return ImageSpec(224, 3, classes, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@runtime_checkable
class Dataset(Protocol):
    """A labelled set of images of one size, addressed by index.

    Attributes:
        name: how `load_dataset` finds it again.
        split: which part of it this is.
        spec: image size, channels, classes and normalisation.
        labels: (n,) int64, the class of each image. Where n may be millions, what is made when it
            is indexed by an array will do.
    """

    name: str
    split: str
    spec: ImageSpec
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the images at `indices`, (len(indices), channels, S, S) uint8."""
        ...


@runtime_checkable
class Augmented(Protocol):
    """What a `Dataset` of limited length also offers for training: varied copies of its images.

    Images on disk do. Cluttered digits do not: their splits can be of any length, so that new
    scenes take the place of varied ones.
    """

    def augmented_images(self, indices: NDArray[np.int64], seed: int) -> torch.Tensor:
        """Return varied copies of the images at `indices`, (len(indices), channels, S, S) uint8.

        Each is a function of `seed` (0 or more) and its index alone, whatever the batch or the
        process; no global generator is used or changed.

        Raises:
            ValueError: a negative seed.
        """
        ...


@runtime_checkable
class InMemory(Protocol):
    """What a `Dataset` also offers that has its images in one tensor, so that none is copied."""

    def tensor(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return all n images, (n, channels, S, S) uint8; those at `indices` are valid."""
        ...


@runtime_checkable
class Located(Dataset, Protocol):
    """What a `Dataset` also offers that knows where the things are that its labels depend on.

    It is for training networks, for scripted policies and for tests; never part of an observation.

    Attributes:
        objects: (n, k, 2) int64, the top-left pixels of each image's objects, (row, col), in an
            order that the data set says. All are whole in the image.
        contents: (n, k) int64, what each of them is, an index into `content_names`.
        content_names: all that an object can be.
        num_objects: k.
        num_needed: how many of them, the first ones, tell the label together.
        kinds: of each content, an index into `kind_names`.
        kind_names: what the glance may tell of an object: a digit, say, but not which.
        content_sizes: height and width of each content, in pixels.
    """

    objects: NDArray[np.int64]
    contents: NDArray[np.int64]
    content_names: tuple[str, ...]
    num_objects: int
    num_needed: int
    kinds: tuple[int, ...]
    kind_names: tuple[str, ...]
    content_sizes: tuple[int, ...]


def located(dataset: Dataset) -> Located:
    """Return a data set that knows where its objects are.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(dataset, Located):
        raise ValueError(
            f"{dataset.name} does not say where its objects are; built-in tasks do, see "
            "gf_env.datasets.base.Located"
        )
    return dataset


@runtime_checkable
class Fingerprinted(Protocol):
    """What a `Dataset` also offers if it can tell without decoding whether its images changed."""

    def fingerprint(self) -> str | None:
        """Return a text that changes with the images, or None if that cannot be told."""
        ...


_SAMPLED = 64


def dataset_digest(dataset: Dataset) -> str:
    """Return a SHA-256 that tells versions of a split apart.

    It is taken over the description, all labels, the fingerprint where there is one, and the
    pixels of 64 images spread evenly over the split. Of labels that are made when they are indexed,
    those of the 64 images count.
    """
    spec = dataclasses.asdict(dataset.spec)
    mark = dataset.fingerprint() if isinstance(dataset, Fingerprinted) else None
    digest = hashlib.sha256(json.dumps([len(dataset), spec, mark]).encode())
    sample = np.linspace(0, len(dataset) - 1, min(_SAMPLED, len(dataset))).astype(np.int64)
    labels = dataset.labels if isinstance(dataset.labels, np.ndarray) else dataset.labels[sample]
    digest.update(np.ascontiguousarray(labels, "<i8").data)
    for index in sample:  # one by one, since images in memory may be large
        digest.update(dataset.images(np.array([index])).contiguous().numpy().data)
    return digest.hexdigest()
