"""Data sets, by name, by path, or as objects."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from gf_env.datasets import cluttered_digits
from gf_env.datasets.base import Dataset, ImageSpec
from gf_env.datasets.cluttered_digits import ClutteredDigits

__all__ = ["ClutteredDigits", "Dataset", "ImageSpec", "load_dataset"]


def load_dataset(
    dataset: str | os.PathLike[str] | Dataset,
    split: str,
    *,
    size: int | None = None,
    like: ImageSpec | None = None,
) -> Dataset:
    """Return one split of a data set.

    Args:
        dataset: `cluttered-digits`; a folder of `<split>/<class>/<image>`;
            `torchvision:<class>[@<root>]` for one of torchvision's that is already on disk; or a
            `Dataset`, which is returned as it is.
        split: `train`, `validation` or `test`; `cluttered-digits` also has `pretrain`.
        size: number of scenes; only `cluttered-digits` can be as long as one asks for.
        like: image size, channels and normalisation that images on disk are brought to; ImageNet's
            by default.

    Raises:
        ValueError: unknown data set or split, or a size for one that has its own.
    """
    if isinstance(dataset, Dataset):
        return dataset
    name = os.fspath(dataset)
    if name == cluttered_digits.NAME:
        return _cluttered_digits(split, size)
    if size is not None:
        raise ValueError(f"only {cluttered_digits.NAME} can be made in any size, not {name!r}")
    # torchvision takes a second to import, and the built-in task does without
    from gf_env.datasets import files

    if name.startswith(files.TORCHVISION_PREFIX):
        return files.load_torchvision(name, split, like)
    if Path(name).is_dir():
        return files.load_folder(Path(name), split, like)
    raise ValueError(
        f"unknown dataset {name!r}: choose {cluttered_digits.NAME!r}, a folder of "
        f"<split>/<class>/<image>, or {files.TORCHVISION_PREFIX}<class>[@<root>]"
    )


@functools.lru_cache(maxsize=8)
def _cluttered_digits(split: str, size: int | None) -> ClutteredDigits:
    """Many environments in one process share one copy."""
    return ClutteredDigits(split, size)
