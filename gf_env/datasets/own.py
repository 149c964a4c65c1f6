"""A user's own data set, named as `package.module:Name`; docs/IMAGES.md shows how to write one.

The name is of a `Dataset`, or of a class or function that returns one. That is called with `split`
and with `like`, the size, channels and normalisation that are asked for or None, as far as it takes
them, and raises a ValueError or LookupError for a split it does not have.
"""

from collections.abc import Sequence

import numpy as np
import torch

from gf_env.datasets.base import Dataset, ImageSpec
from gf_env.import_paths import call_with, load_object

_MEMBERS = ("name", "split", "spec", "labels", "__len__", "images")


def load_own(
    name: str, split: str, like: ImageSpec | None, unreadable: str, *, download: bool = False
) -> Dataset:
    """Return a split of a data set of the user's, which sees to its images itself.

    Raises:
        ValueError: there is no such name, or what it gives is no `Dataset` of that split; or labels
            or the first image are not as `Dataset` says.
    """
    found = load_object(name)
    dataset = found
    if callable(found) and (isinstance(found, type) or not isinstance(found, Dataset)):
        dataset = call_with(found, {}, {"split": split, "like": like})
    if not isinstance(dataset, Dataset):
        missing = [each for each in _MEMBERS if not hasattr(dataset, each)]
        raise ValueError(
            f"{name} gave {type(dataset).__name__}, which is no data set: it lacks {missing}, see "
            "gf_env.datasets.base.Dataset"
        )
    if dataset.split != split:
        raise ValueError(
            f"{name} gave split {dataset.split!r} where {split!r} was asked for: name a class or "
            "function that takes `split`, or ask for the split it has"
        )
    _check(name, dataset)
    return dataset


def has_split(name: str, split: str, *, download: bool = False) -> bool:
    """Whether a data set of the user's has a split, sound or not."""
    try:
        load_own(name, split, None, "stop")
    except (ValueError, LookupError):
        return False
    return True


def _check(name: str, dataset: Dataset) -> None:
    """Refuse labels, or a first image, that would be taken for something else further on."""
    spec, labels = dataset.spec, dataset.labels
    if not isinstance(spec, ImageSpec):
        raise ValueError(f"spec of {name} must be a gf_env.ImageSpec, got {type(spec).__name__}")
    count, classes = len(dataset), len(spec.classes)
    if count < 1:
        raise ValueError(f"split {dataset.split!r} of {name} has no images")
    if not isinstance(labels, np.ndarray) and not isinstance(labels, Sequence):
        labels = labels[np.arange(1)]  # made as they are indexed
        count = 1
    found = np.asarray(labels)
    right = found.dtype == np.int64 and found.shape == (count,) and isinstance(labels, np.ndarray)
    if not right or found.min() < 0 or found.max() >= classes:
        raise ValueError(
            f"labels of {name} must be a NumPy array, ({count},) int64 in [0, {classes}), got "
            f"{type(labels).__name__} {found.shape} {found.dtype}: {found.tolist()[:5]}"
        )
    image = dataset.images(np.arange(1))
    shape = (1, spec.channels, spec.image_size, spec.image_size)
    is_tensor = isinstance(image, torch.Tensor)
    if not is_tensor or image.dtype != torch.uint8 or tuple(image.shape) != shape:
        got = f"{tuple(image.shape)} {image.dtype}" if is_tensor else type(image).__name__
        raise ValueError(f"images of {name} must be tensors, {shape} uint8 for one, got {got}")
