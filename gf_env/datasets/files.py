"""Images on disk: `ImageFolder` trees and the data sets of torchvision.

They are resized and cropped as the paper does for evaluation.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import datasets as tv_datasets
from torchvision.datasets import VisionDataset
from torchvision.transforms import InterpolationMode, v2

from gf_env.datasets.base import ImageSpec

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

TORCHVISION_PREFIX = "torchvision:"
_FOLDER_NAMES = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


class ImageFiles:
    """A `Dataset` over any torchvision data set of (PIL image, class number) pairs.

    Args:
        name: what `load_dataset` was asked for.
        split: which part this is.
        source: the torchvision data set, without transforms.
        labels: (n,) the class of each image.
        spec: what the images are made to be like.
    """

    def __init__(
        self, name: str, split: str, source: Any, labels: NDArray[np.int64], spec: ImageSpec
    ) -> None:
        self.name = name
        self.split = split
        self.spec = spec
        self.labels = labels
        self._source = source
        self._transform = _evaluation_transform(spec)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the images at `indices`, (len(indices), channels, S, S) uint8.

        Raises:
            ValueError: an image cannot be decoded.
        """
        return torch.stack([self._image(int(index)) for index in indices])

    def _image(self, index: int) -> torch.Tensor:
        try:
            image, _ = self._source[index]
        except OSError as error:
            raise ValueError(
                f"image {index} of {self.name}, split {self.split!r}, cannot be read: {error}"
            ) from error
        pixels: torch.Tensor = self._transform(image)
        return pixels


def load_folder(root: Path, split: str, like: ImageSpec | None) -> ImageFiles:
    """Return one split of a tree `root/<split>/<class>/<image>`.

    Args:
        root: the folder that holds the splits.
        split: `train`, `validation` (also found as `val`) or `test`; any other name is taken as a
            folder's.
        like: the image size, channels and normalisation wanted; ImageNet's by default.

    Raises:
        ValueError: no folder for the split, or no images in it.
    """
    candidates = _FOLDER_NAMES.get(split, (split,))
    folder = next((root / name for name in candidates if (root / name).is_dir()), None)
    if folder is None:
        found = sorted(item.name for item in root.iterdir() if item.is_dir())
        raise ValueError(
            f"no split {split!r} in {root}: expected a folder {' or '.join(candidates)} "
            f"with one folder of images a class; found {found}"
        )
    try:
        source = tv_datasets.ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} is no tree of <class>/<image> with images in every class: {error}"
        ) from error
    labels = np.array(source.targets, np.int64)
    return ImageFiles(str(root), split, source, labels, _spec(tuple(source.classes), like))


def load_torchvision(name: str, split: str, like: ImageSpec | None) -> ImageFiles:
    """Return a split of a torchvision data set that is already on disk.

    Args:
        name: `torchvision:<class>` or `torchvision:<class>@<root folder>`; the root is
            $GF_ENV_DATA, else `data`.
        split: `train`, `validation` or `test`, as far as the data set has them.
        like: the image size, channels and normalisation wanted; ImageNet's by default.

    Raises:
        ValueError: torchvision has no such data set or split, or it is not under the root.
    """
    class_name, _, chosen_root = name.removeprefix(TORCHVISION_PREFIX).partition("@")
    root = chosen_root or os.environ.get("GF_ENV_DATA", "data")
    make: Any = getattr(tv_datasets, class_name, None)
    if make is None or not issubclass(make, VisionDataset):
        raise ValueError(
            f"torchvision has no data set {class_name!r}; "
            f"choose one of {sorted(tv_datasets.__all__)}"
        )
    try:
        source: Any = make(root, **_split_arguments(make, split))
    except (RuntimeError, FileNotFoundError) as error:
        raise ValueError(
            f"torchvision's {class_name} is not whole under {root!r} ({error}). "
            "Download it there first, or say where it is: "
            f"{TORCHVISION_PREFIX}{class_name}@<folder>"
        ) from error
    labels = _labels(source)
    classes = getattr(source, "classes", None) or [str(k) for k in range(int(labels.max()) + 1)]
    return ImageFiles(name, split, source, labels, _spec(tuple(map(str, classes)), like))


def _split_arguments(make: Callable[..., Any], split: str) -> dict[str, Any]:
    parameters = inspect.signature(make).parameters
    if "train" in parameters:
        if split not in ("train", "test"):
            raise ValueError(
                f"torchvision's {make.__name__} has the splits train and test, not {split!r}"
            )
        return {"train": split == "train"}
    if "split" in parameters:
        return {"split": "val" if split == "validation" else split}
    raise ValueError(f"torchvision's {make.__name__} has no splits, so {split!r} cannot be chosen")


def _labels(source: Any) -> NDArray[np.int64]:
    for name in ("targets", "labels", "_labels", "y"):
        if hasattr(source, name):
            return np.asarray(getattr(source, name), np.int64)
    return np.array([source[index][1] for index in range(len(source))], np.int64)


def _spec(classes: tuple[str, ...], like: ImageSpec | None) -> ImageSpec:
    if like is None:
        return ImageSpec(224, 3, classes, IMAGENET_MEAN, IMAGENET_STD)
    return dataclasses.replace(like, classes=classes)


def _evaluation_transform(spec: ImageSpec) -> v2.Transform:
    return v2.Compose(
        [
            v2.Grayscale() if spec.channels == 1 else v2.RGB(),
            v2.Resize(
                int(spec.image_size / spec.crop_fraction),
                InterpolationMode(spec.resize_interpolation),
            ),
            v2.CenterCrop(spec.image_size),
            v2.PILToTensor(),
        ]
    )
