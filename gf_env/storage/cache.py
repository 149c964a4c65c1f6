"""Arrays that are costly to make, kept on disk and memory-mapped.

A cached array is a `.npy` file beside a small file with its CRC-32. Whatever is missing, cut off
or altered is made again without a word; several processes that ask at once make it once.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 24


def cache_dir() -> Path:
    """Return the folder for cached arrays: $GF_ENV_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GF_ENV_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("gf_env"))


def cached_array(
    path: Path, shape: tuple[int, ...], make_chunks: Callable[[], Iterable[NDArray[np.uint8]]]
) -> NDArray[np.uint8]:
    """Return the uint8 array stored at `path`, made if it is not there or not whole.

    Args:
        path: the `.npy` file.
        shape: the whole array's shape.
        make_chunks: returns pieces along the first axis, in order; only called when the array has
            to be made.

    Returns:
        The array, memory-mapped copy-on-write; held in memory, with a warning, where the folder
        cannot be written.
    """
    if _is_whole(path, shape):
        return _map(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_whole(path, shape):  # another process may have made it while we waited
                _write(path, shape, make_chunks())
        return _map(path)
    except OSError as error:
        warnings.warn(
            f"cannot cache in {path.parent} ({error}); the images are made in memory instead. "
            "Set GF_ENV_CACHE to a folder with space to avoid this.",
            stacklevel=3,
        )
        return np.concatenate(list(make_chunks()))


def _map(path: Path) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.load(path, mmap_mode="c")
    return array


def _header(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".crc32")


def _write(path: Path, shape: tuple[int, ...], chunks: Iterable[NDArray[np.uint8]]) -> None:
    partial = path.with_suffix(f".partial-{os.getpid()}")
    checksum = 0
    try:
        with partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, _header(shape))
            for chunk in chunks:
                file.write(chunk.data)
                checksum = zlib.crc32(chunk.data, checksum)
        _checksum_path(path).write_text(f"{checksum:08x}\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        expected = _checksum_path(path).read_text().strip()
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                return False
            if np.lib.format.read_array_header_1_0(file) != (shape, False, np.dtype(np.uint8)):
                return False
            checksum = 0
            for block in _blocks(file):
                checksum = zlib.crc32(block, checksum)
    except (OSError, ValueError):
        return False
    return expected == f"{checksum:08x}"


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block
