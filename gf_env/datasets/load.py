"""Data sets, by name, by path, or as objects."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from gf_env.datasets import own
from gf_env.datasets.base import UNREADABLE, Dataset, ImageSpec
from gf_env.datasets.scenes.base import load_scenes
from gf_env.datasets.scenes.registry import SCENES
from gf_env.import_paths import is_module_path

_OTHERS = (
    "a folder of <split>/<class>/<image>, torchvision:<class>[@<root>], "
    "hf:<name or folder>[:<config>], or <package.module>:<Name>"
)
"""What names of data sets on disk and of one's own are like."""


def load_dataset(
    dataset: str | os.PathLike[str] | Dataset,
    split: str,
    *,
    size: int | None = None,
    like: ImageSpec | None = None,
    unreadable: str = "stop",
    download: bool = False,
) -> Dataset:
    """Return one split of a data set.

    Args:
        dataset: a built-in task, such as `signposts` or, at a level, `signposts-easy`; a folder of
            `<split>/<class>/<image>`; `torchvision:<class>[@<root>]` for one of torchvision's;
            `hf:<name or folder>[:<config>]` for one of Hugging Face, see
            `gf_env.datasets.on_disk.hugging_face`; `package.module:Name` for one's own, see
            `gf_env.datasets.own`; or a `Dataset`, which is returned as it is.
        split: `train`, `validation` or `test`; built-in tasks also have `pretrain`.
        size: number of scenes of a built-in task; a split's usual number by default. Longer ones
            are never stored, but made when needed, labels too, so that a split can be endless.
        like: size, channels and normalisation that images on disk are brought to, or ImageNet's.
        unreadable: what to do about images on disk that cannot be decoded. `stop`: an error when
            one is asked for. `skip`: decode all once now, leave those out and warn; the verdict is
            cached until a file changes. A file that cannot be opened is an error in both cases.
        download: fetch a data set of torchvision or of the Hugging Face Hub that is not on disk
            yet. Nothing is fetched otherwise, and what is on disk anyway needs none.

    Raises:
        ValueError: unknown data set, split or `unreadable`, a size below 1 or for a data set that
            has its own, a tree of folders whose classes are empty or differ from those of its
            `train`, a class of which no image can be decoded (with `skip`), or a data set that is
            not on disk and is not downloaded.
    """
    if unreadable not in UNREADABLE:
        raise ValueError(f"unreadable must be one of {list(UNREADABLE)}, got {unreadable!r}")
    name = dataset.name if isinstance(dataset, Dataset) else os.fspath(dataset)
    if name in SCENES and not isinstance(dataset, Dataset):
        return load_scenes(SCENES[name], split, size)
    if size is not None:
        raise ValueError(
            f"a size is for built-in data sets by name, {list(SCENES)}; leave it out for {name!r}"
        )
    if isinstance(dataset, Dataset):
        return dataset
    reader = _reader(name)
    if reader is None:
        raise ValueError(f"unknown dataset {name!r}: choose one of {list(SCENES)}, {_OTHERS}")
    return reader.load(name, split, like, unreadable, download=download)


def has_split(dataset: str | os.PathLike[str], split: str, *, download: bool = False) -> bool:
    """Whether a data set, named as for `load_dataset`, has a split, sound or not.

    One that does not exist, or that is not on disk and is not downloaded, has none.
    """
    name = os.fspath(dataset)
    if name in SCENES:
        return split in SCENES[name].split_sizes
    reader = _reader(name)
    return reader is not None and reader.has_split(name, split, download=download)


class _Load(Protocol):
    """Arguments are those of `load_dataset`."""

    def __call__(
        self, name: str, split: str, like: ImageSpec | None, unreadable: str, *, download: bool
    ) -> Dataset: ...


class _HasSplit(Protocol):
    """Arguments are those of `has_split`."""

    def __call__(self, name: str, split: str, *, download: bool) -> bool: ...


class _Reader(NamedTuple):
    """What reads data sets of one kind, by name.

    Attributes:
        takes: whether a name is of this kind.
        load: reads a split.
        has_split: whether there is such a split.
    """

    takes: Callable[[str], bool]
    load: _Load
    has_split: _HasSplit


def _reader(name: str) -> _Reader | None:
    """Return what reads a data set of that name, None where nothing does."""
    return next((reader for reader in _readers() if reader.takes(name)), None)


@functools.cache
def _readers() -> tuple[_Reader, ...]:
    # torchvision takes a second to import, and the built-in task does without
    from gf_env.datasets.on_disk import folders, hugging_face, torchvision_sets

    return (
        _Reader(
            lambda name: name.startswith(torchvision_sets.PREFIX),
            torchvision_sets.load_torchvision,
            torchvision_sets.has_split,
        ),
        _Reader(
            lambda name: name.startswith(hugging_face.PREFIX),
            hugging_face.load_hugging_face,
            hugging_face.has_split,
        ),
        _Reader(lambda name: Path(name).is_dir(), folders.load_folder, folders.has_split),
        _Reader(is_module_path, own.load_own, own.has_split),
    )
