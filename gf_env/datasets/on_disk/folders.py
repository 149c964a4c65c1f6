"""Trees of image files, `<root>/<split>/<class>/<image>`, as ImageNet is usually stored."""

from pathlib import Path

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.on_disk.dataset import ImageFiles, image_files
from gf_env.datasets.on_disk.sources import FileSource

_FOLDER_NAMES = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


def load_folder(root: Path, split: str, like: ImageSpec | None, unreadable: str) -> ImageFiles:
    """Return one split of a tree `root/<split>/<class>/<image>`.

    Classes are numbered in the order of their names, which is torchvision's ImageFolder's too,
    except that hidden folders are no classes. The split `validation` is also found as `val`; any
    other name than `train` and `test` is taken as a folder's. Else arguments and errors are those
    of `load_dataset`.
    """
    folder = _split_folder(root, split)
    classes = _subfolders(folder)
    if not classes:
        raise ValueError(
            f"no class folders in {folder}: expected one folder of images for each class"
        )
    _check_classes(root, folder, classes)
    numbers = {name: number for number, name in enumerate(classes)}
    samples = make_dataset(str(folder), numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    labels = np.array([label for _, label in samples], np.int64)
    present = set(labels.tolist())
    empty = [name for name, number in numbers.items() if number not in present]
    if empty:
        raise ValueError(
            f"no images in the class folders {empty} of {folder}: "
            f"expected files ending in one of {list(IMG_EXTENSIONS)}"
        )
    source = FileSource(str(folder), [path for path, _ in samples])
    return image_files(str(root), split, source, labels, classes, like, unreadable)


def has_split(root: Path, split: str) -> bool:
    """Whether a tree has a folder for a split."""
    return any((root / name).is_dir() for name in _FOLDER_NAMES.get(split, (split,)))


def _split_folder(root: Path, split: str) -> Path:
    candidates = _FOLDER_NAMES.get(split, (split,))
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
