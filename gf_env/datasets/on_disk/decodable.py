"""Which images of a source can be decoded, found out by decoding all of them once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from gf_env.datasets.on_disk.sources import ImageSource, UnreadableImageError
from gf_env.storage.cache import cache_dir, cached_array

_MAX_THREADS = 8
_CHUNK = 1024
_NAMED = 3
"""How many of the images left out the warning names."""


def readable_images(
    source: ImageSource, title: str, labels: NDArray[np.int64], classes: tuple[str, ...]
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


def _verdicts(source: ImageSource) -> NDArray[np.bool_]:
    """(n,) whether each image can be decoded."""
    fingerprint = source.fingerprint()
    if fingerprint is None:
        return np.concatenate(list(_decode_all(source))).astype(bool)
    path = cache_dir() / f"readable-{fingerprint}.npy"
    return cached_array(path, (len(source),), lambda: _decode_all(source)).astype(bool)


def _decode_all(source: ImageSource) -> Iterator[NDArray[np.uint8]]:
    """Yield chunks of (k,) uint8, 1 for an image that can be decoded."""

    def is_readable(index: int) -> bool:
        try:
            source.read(index)
        except UnreadableImageError:
            return False
        return True

    # Pillow lets other threads run while it decodes
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(source), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(source)))
            yield np.fromiter(pool.map(is_readable, chunk), np.uint8, len(chunk))
