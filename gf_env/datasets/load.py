"""Data sets, by name, by path, or as objects."""

import copyreg
import os
from pathlib import Path
from typing import Any

from gf_env.datasets import own
from gf_env.datasets.base import UNREADABLE, Dataset, ImageSpec
from gf_env.datasets.scenes.base import SPLIT_SIZES, Scenes, load_scenes
from gf_env.datasets.scenes.registry import SCENES
from gf_env.import_paths import is_module_path


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
            f"a number of scenes is for built-in data sets that are given by name, {list(SCENES)}; "
            f"leave it out for {name!r}"
        )
    if isinstance(dataset, Dataset):
        return dataset
    # torchvision takes a second to import, and the built-in task does without
    from gf_env.datasets.on_disk import folders, hugging_face, torchvision_sets

    if name.startswith(torchvision_sets.PREFIX):
        return torchvision_sets.load_torchvision(name, split, like, unreadable, download=download)
    if name.startswith(hugging_face.PREFIX):
        return hugging_face.load_hugging_face(name, split, like, unreadable, download=download)
    if Path(name).is_dir():
        return folders.load_folder(Path(name), split, like, unreadable)
    if is_module_path(name):
        return own.load_own(name, split, like)
    raise ValueError(
        f"unknown dataset {name!r}: choose one of {list(SCENES)}, a folder of "
        f"<split>/<class>/<image>, {torchvision_sets.PREFIX}<class>[@<root>], "
        f"{hugging_face.PREFIX}<name or folder>[:<config>], or <package.module>:<Name>"
    )


def has_split(dataset: str | os.PathLike[str], split: str, *, download: bool = False) -> bool:
    """Whether a data set, named as for `load_dataset`, has a split, sound or not.

    One that does not exist, or that is not on disk and is not downloaded, has none.
    """
    name = os.fspath(dataset)
    if name in SCENES:
        return split in SPLIT_SIZES
    from gf_env.datasets.on_disk import folders, hugging_face, torchvision_sets

    if name.startswith(torchvision_sets.PREFIX):
        return torchvision_sets.has_split(name, split, download=download)
    if name.startswith(hugging_face.PREFIX):
        return hugging_face.has_split(name, split, download=download)
    if is_module_path(name) and not Path(name).is_dir():
        return own.has_split(name, split)
    return folders.has_split(Path(name), split)


def _named(scenes: Scenes) -> tuple[Any, ...]:
    """Return how scenes are pickled and copied: by name, as they are a function of it."""
    size = None if len(scenes) == SPLIT_SIZES[scenes.split] else len(scenes)
    return load_scenes, (scenes.kind, scenes.split, size)


copyreg.pickle(Scenes, _named)
