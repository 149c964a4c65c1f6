"""Trees of image files, `<root>/<split>/<class>/<image>`, as ImageNet is usually stored."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.on_disk.dataset import ImageFiles, image_files
from gf_env.datasets.on_disk.sources import FileSource

ENDINGS = (*IMG_EXTENSIONS, ".gif")
"""Of image files; of a GIF the first picture is taken."""
_SPLIT_NAMES = {"validation": ("validation", "val")}


def load_folder(
    name: str, split: str, like: ImageSpec | None, unreadable: str, *, download: bool = False
) -> ImageFiles:
    """Return one split of a tree `<name>/<split>/<class>/<image>`; there is nothing to download.

    Classes are numbered in the order of their names, which is torchvision's ImageFolder's too,
    except that hidden folders are no classes. Links are followed, but each file of a class is taken
    once, and links to a folder around the class are not, so that none goes in circles. The split
    `validation` is also found as `val`; any other name than `train` and `test` is taken as a
    folder's. Else arguments and errors are those of `load_dataset`.
    """
    root = Path(name)
    folder = _split_folder(root, split)
    classes = _subfolders(folder)
    if not classes:
        raise ValueError(
            f"no class folders in {folder}: expected one folder of images for each class"
        )
    _check_classes(root, folder, classes)
    files = [list(_image_files(folder / name)) for name in classes]
    empty = [name for name, found in zip(classes, files, strict=True) if not found]
    if empty:
        raise ValueError(
            f"no images in the class folders {empty} of {folder}: "
            f"expected files ending in one of {list(ENDINGS)}"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    source = FileSource(str(folder), [path for found in files for path in found])
    return image_files(str(root), split, source, labels, classes, like, unreadable)


def _image_files(folder: Path) -> Iterator[str]:
    """Yield the image files below a class folder, each real one once, in torchvision's order."""
    seen: set[str] = set()
    places = sorted(_folders_below(str(folder)))
    for place in places:
        for name in sorted(os.listdir(place)):
            path = os.path.join(place, name)
            real = os.path.realpath(path)
            is_image = name.lower().endswith(ENDINGS) and not os.path.isdir(path)
            if is_image and real not in seen:
                seen.add(real)
                yield path


def _folders_below(folder: str) -> Iterator[str]:
    """Yield a folder and all below it, each real one once; links to folders around it are left."""
    real = Path(os.path.realpath(folder))
    seen = {str(each) for each in real.parents}
    for place, subfolders, _ in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        yield place
        new = {name: os.path.realpath(os.path.join(place, name)) for name in sorted(subfolders)}
        subfolders[:] = [name for name, real in new.items() if real not in seen]
        seen.update(new.values())  # two links to one folder are one, too


def split_names(split: str) -> tuple[str, ...]:
    """Return what a split may be called on disk, the likeliest name first."""
    return _SPLIT_NAMES.get(split, (split,))


def has_split(name: str, split: str, *, download: bool = False) -> bool:
    """Whether a tree has a folder for a split."""
    return any((Path(name) / each).is_dir() for each in split_names(split))


def _split_folder(root: Path, split: str) -> Path:
    if split in ("", "..") or Path(split).name != split:
        raise ValueError(f"a split is the name of a folder in {root}, got {split!r}")
    candidates = split_names(split)
    for name in candidates:
        if (root / name).is_dir():
            return root / name
    found = list(_subfolders(root))
    raise ValueError(
        f"no split {split!r} in {root}: expected a folder {' or '.join(candidates)} "
        f"with one folder of images for each class; found {found or 'no folders at all'}"
    )


def _subfolders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted; tools leave hidden ones behind."""
    names = (item.name for item in folder.iterdir() if item.is_dir())
    return tuple(sorted(name for name in names if not name.startswith(".")))


def _check_classes(root: Path, folder: Path, classes: tuple[str, ...]) -> None:
    """Raise a ValueError unless a split has the classes of `train`: labels would shift silently."""
    train = root / "train"
    if not train.is_dir():
        return
    wanted = _subfolders(train)
    if classes != wanted:
        missing, foreign = sorted(set(wanted) - set(classes)), sorted(set(classes) - set(wanted))
        raise ValueError(
            f"{folder} and {train} must have the same class folders, or the same label would mean "
            f"different classes: missing in {folder.name} are {missing}, unknown to train are "
            f"{foreign}"
        )
