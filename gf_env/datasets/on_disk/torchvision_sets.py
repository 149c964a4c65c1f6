"""The data sets of torchvision: those on disk, or downloaded where that is asked for."""

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets as tv_datasets
from torchvision.datasets import DatasetFolder, VisionDataset

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.on_disk.dataset import ImageFiles, image_files
from gf_env.datasets.on_disk.sources import FileSource, RawImages, TorchvisionSource

PREFIX = "torchvision:"


def load_torchvision(
    name: str, split: str, like: ImageSpec | None, unreadable: str, *, download: bool = False
) -> ImageFiles:
    """Return a split of a torchvision data set.

    Args:
        name: `torchvision:<class>` or `torchvision:<class>@<root folder>`; the root is
            $GF_ENV_DATA, else `data`.
        split: `train`, `validation` or `test`, as far as the data set has them.
        like: as of `load_dataset`.
        unreadable: likewise.
        download: to the root, unless it is there.

    Raises:
        ValueError: torchvision has no such data set or split, it is not under the root, or
            torchvision cannot download it.
    """
    class_name, _, chosen_root = name.removeprefix(PREFIX).partition("@")
    root = chosen_root or os.environ.get("GF_ENV_DATA", "data")
    make: Any = getattr(tv_datasets, class_name, None)
    if make is None or not issubclass(make, VisionDataset):
        raise ValueError(
            f"torchvision has no data set {class_name!r}; "
            f"choose one of {sorted(tv_datasets.__all__)}"
        )
    try:
        dataset: Any = make(
            root, **_split_arguments(make, split), **_download_arguments(make, download)
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"torchvision's {class_name} is incomplete under {root!r} ({error}). "
            f"Download it there, {_how_to_download(make)}, or name its folder: "
            f"{PREFIX}{class_name}@<folder>"
        ) from error
    labels = _labels(dataset)
    names = getattr(dataset, "classes", None) or range(int(labels.max()) + 1)
    classes = _class_names(names)
    source: RawImages = TorchvisionSource(name, dataset)
    if isinstance(dataset, DatasetFolder):  # such as ImageNet: its files can be named
        source = FileSource(str(dataset.root), [path for path, _ in dataset.samples])
    return image_files(name, split, source, labels, classes, like, unreadable)


def has_split(name: str, split: str, *, download: bool = False) -> bool:
    """Whether a torchvision data set has a split; see `load_torchvision`."""
    try:
        load_torchvision(name, split, None, "stop", download=download)
    except ValueError:
        return False
    return True


def _class_names(names: Iterable[Any]) -> tuple[str, ...]:
    """Return classes as texts: of several names for one, as ImageNet has, the first that differs.

    Where another class has the same first name, all of them.
    """
    several = [tuple(each) if isinstance(each, (list, tuple)) else (str(each),) for each in names]
    firsts = [each[0] for each in several]
    return tuple(
        first if firsts.count(first) == 1 else ", ".join(each)
        for first, each in zip(firsts, several, strict=True)
    )


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


def _offers_download(make: Callable[..., Any]) -> bool:
    return "download" in inspect.signature(make).parameters


def _download_arguments(make: Callable[..., Any], download: bool) -> dict[str, Any]:
    if download and not _offers_download(make):
        raise ValueError(
            f"torchvision does not download {make.__name__}: do it by hand, and leave download out"
        )
    return {"download": True} if download else {}


def _how_to_download(make: Callable[..., Any]) -> str:
    return "with download=True" if _offers_download(make) else "by hand"


def _labels(dataset: Any) -> NDArray[np.int64]:
    for name in ("targets", "labels", "_labels", "y"):
        if hasattr(dataset, name):
            return np.asarray(getattr(dataset, name), np.int64)
    return np.array([dataset[index][1] for index in range(len(dataset))], np.int64)
