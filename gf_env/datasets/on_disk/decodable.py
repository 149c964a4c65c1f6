"""Which images of a source can be decoded, found out by decoding all of them once."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from gf_env.datasets.on_disk.sources import RawImages, UnreadableImageError
from gf_env.storage.arrays import cached_array

_MAX_THREADS = 8
_QUEUED = 1024  # images waiting for a thread at once
_NAMED = 3
"""How many of the images left out the warning names."""


def readable_images(
    source: RawImages, title: str, labels: NDArray[np.int64], classes: tuple[str, ...]
) -> NDArray[np.int64]:
    """Return which images can be decoded, and warn of those that cannot.

    The verdict on files is kept in the cache folder until one of them changes.

    Args:
        source: the images.
        title: what the split is called in messages.
        labels: (n,) the class of each image.
        classes: the classes' names.

    Returns:
        (m,) int64 in [0, n), ascending.

    Raises:
        ValueError: a class that had images has none left, or a file cannot be opened.
    """
    readable = _verdicts(source)
    kept, left_out = np.flatnonzero(readable), np.flatnonzero(~readable)
    if not len(left_out):
        return kept
    named = [source.place(int(index)) for index in left_out[:_NAMED]]
    names = ", ".join(named) + (", ..." if len(left_out) > _NAMED else "")
    if not len(kept):
        raise ValueError(f"none of the {len(labels)} images of {title} can be decoded: {names}")
    emptied = [classes[label] for label in np.setdiff1d(labels, labels[kept])]
    if emptied:
        raise ValueError(
            f"no image that can be decoded is left of the classes {emptied} of {title}: "
            f"replace some of {names}"
        )
    warnings.warn(
        f"{len(left_out)} of {len(labels)} images of {title} cannot be decoded and are left out: "
        f"{names}",
        stacklevel=5,  # whoever called load_dataset
    )
    return kept


def _verdicts(source: RawImages) -> NDArray[np.bool_]:
    """(n,) whether each image can be decoded."""
    fingerprint = source.fingerprint()
    if fingerprint is None:
        return _decode(source, range(len(source))).astype(bool)
    verdicts = cached_array(
        f"readable-{fingerprint}", (len(source),), lambda rows: _decode(source, rows)
    )
    return verdicts.astype(bool)


def _decode(source: RawImages, indices: range) -> NDArray[np.uint8]:
    """Try to decode some images; (len(indices),) uint8, 1 for those that can be."""

    def is_readable(index: int) -> bool:
        try:
            source.read(index)
        except UnreadableImageError:
            return False
        return True

    found = np.empty(len(indices), np.uint8)
    # Pillow lets other threads run while it decodes
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(indices), _QUEUED):
            queued = indices[start : start + _QUEUED]
            found[start : start + _QUEUED] = list(pool.map(is_readable, queued))
    return found
