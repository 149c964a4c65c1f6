"""Large arrays on disk: written piece by piece, every byte checked, memory-mapped.

An array is a `.npy` file. Its notes, a `.json` file of the same name, say what the values are and
hold the checksum (CRC-32) of every piece written so far, and one of themselves. Whatever else is at
such a path is never overwritten, except in the cache, which is made again without a word.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.lib.format import open_memmap, read_array_header_1_0, read_magic
from numpy.typing import DTypeLike, NDArray

from gf_env.storage.files import open_file, parse_json, read_file, write_atomically
from gf_env.storage.tensors import TensorFileError

_CACHE_PIECE_BYTES = 1 << 24
_checked: dict[Path, tuple[Any, ...]] = {}
"""The state in which this process last found a file to match its checksums."""


@dataclass(frozen=True)
class ArrayFile:
    """One array and where it is kept.

    Methods that look at the file raise a TensorFileError where it holds something else, or its
    notes are damaged.

    Attributes:
        path: the `.npy` file.
        shape: shape of the whole array; pieces are cut along the first axis.
        dtype: type of the values.
        about: what the values are; JSON-serialisable, by name.
        piece_bytes: largest size of a piece, unless a single row is larger.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: DTypeLike
    about: dict[str, Any]
    piece_bytes: int

    @property
    def num_bytes(self) -> int:
        """Size of all values."""
        return self._row_bytes * self.shape[0]

    @property
    def pieces(self) -> list[range]:
        """The rows of each piece, in order."""
        rows = max(1, self.piece_bytes // self._row_bytes)
        starts = range(0, self.shape[0], rows)
        return [range(start, min(start + rows, self.shape[0])) for start in starts]

    @property
    def notes_path(self) -> Path:
        """The `.json` file."""
        return self.path.with_suffix(".json")

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def rows_written(self) -> int:
        """Return how many rows have been written, as the notes say."""
        return sum(map(len, self.pieces[: len(self._checksums())]))

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Make other processes wait that want to write the file, too; makes its folder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            yield

    def missing_pieces(self) -> list[range]:
        """Return the pieces from the first one on that is not written or damaged."""
        written = self._checksums()
        pairs = zip(written, self._found_checksums(len(written)), strict=False)
        sound = itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
        return self.pieces[len(list(sound)) :]

    def write(self, rows: range, values: NDArray[Any]) -> None:
        """Write one of `missing_pieces`; in order, and while the file is `exclusive`.

        Raises:
            OSError: no room or no permission; the pieces before stay.
        """
        number = self.pieces.index(rows)
        values = np.ascontiguousarray(values, self.dtype)
        checksums = self._checksums()[:number]
        if number == 0:
            self._write_notes([])  # first, since a file without notes would be somebody else's
            open_memmap(self.path, "w+", self.dtype, self.shape)
        try:
            self._write_piece(rows, values)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: cannot write rows {rows.start} to {rows.stop - 1} of "
                f"{self.shape[0]}, {values.nbytes:,} bytes; those before are kept",
                str(self.path),
            ) from error
        self._write_notes([*checksums, _checksum(values.data)])

    def _write_piece(self, rows: range, values: NDArray[Any]) -> None:
        with self.path.open("r+b") as file:  # a full disk would kill whoever wrote through the map
            file.seek(self._data_start() + rows.start * self._row_bytes)
            file.write(values.data)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> NDArray[Any]:
        """Return the array, memory-mapped copy-on-write.

        Every byte is checked against its checksum, once in a process while the file is unchanged.

        Raises:
            TensorFileError: not there, incomplete or altered.
        """
        expected = self._checksums()
        if not self.path.exists():
            raise TensorFileError(
                f"there is no {self.path} with its {self.notes_path.name}; build it first"
            )
        if len(expected) != len(self.pieces):
            raise TensorFileError(
                f"{self.path} is incomplete: it has {len(expected)} of {len(self.pieces)} pieces; "
                "resume building it"
            )
        status = self.path.stat()
        state = (status.st_mtime_ns, status.st_size, self.dtype, *expected)
        if _checked.get(self.path) != state:
            if self._found_checksums(len(expected)) != expected:
                raise TensorFileError(
                    f"the content of {self.path} does not match its checksums; build it again"
                )
            _checked[self.path] = state
        return open_memmap(self.path, mode="c")

    def replace(self, other: ArrayFile) -> None:
        """Move this array to where `other` is; whoever has that one mapped keeps its values."""
        os.replace(self.path, other.path)
        os.replace(self.notes_path, other.notes_path)

    def delete(self) -> None:
        """Delete both files, if they are there."""
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)

    def _checksums(self) -> list[str]:
        """Return those of the pieces written so far; none where there is no file yet."""
        exists = self.path.exists()  # asked first, since others write the notes before the file
        try:
            notes: dict[str, Any] = parse_json(read_file(self.notes_path))
            checksum = notes.pop("checksum")
        except FileNotFoundError as error:
            if not exists:
                return []
            raise TensorFileError(
                f"{self.path} exists without its {self.notes_path.name}; choose another path, or "
                "delete it"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            notes, checksum = {}, ""
        if checksum != _notes_checksum(notes):
            raise TensorFileError(
                f"{self.notes_path} is damaged, or not the notes of {self.path.name}; "
                "choose another path, or delete both"
            )
        found = {**notes["about"], "shape": notes["shape"]}
        check_same({**self.about, "shape": self.shape}, found, str(self.path))
        checksums: list[str] = notes["checksums"]
        return checksums

    def _found_checksums(self, count: int) -> list[str]:
        """Return the checksums of what is in the file, of the first `count` pieces."""
        try:
            start = self._data_start()
        except Exception:  # a damaged header may raise anything
            return []

        def found(rows: range) -> str:
            with open_file(self.path) as file:
                file.seek(start + rows.start * self._row_bytes)
                return _checksum(file.read(len(rows) * self._row_bytes))

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # zlib lets other threads run
            return list(pool.map(found, self.pieces[:count]))

    def _data_start(self) -> int:
        """Return where in the file the values begin, after a header of this very array."""
        with open_file(self.path) as file:
            if read_magic(file) != (1, 0):
                raise ValueError("another version of the format")
            if read_array_header_1_0(file) != (self.shape, False, np.dtype(self.dtype)):
                raise ValueError("another shape, order or type of values")
            return file.tell()

    def _write_notes(self, checksums: list[str]) -> None:
        notes = {"about": self.about, "shape": self.shape, "checksums": checksums}
        notes = {**notes, "checksum": _notes_checksum(notes)}
        write_atomically(self.notes_path, json.dumps(notes, indent=1).encode())


def check_same(wanted: dict[str, Any], found: dict[str, Any], what: str) -> None:
    """Check that two descriptions are equal; both are JSON-serialisable.

    Raises:
        TensorFileError: they are not; everything that differs is named.
    """
    wanted, found = json.loads(json.dumps(wanted)), json.loads(json.dumps(found))
    differing = [
        f"{name} {found.get(name)!r} instead of {wanted.get(name)!r}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        raise TensorFileError(f"{what} has {'; '.join(differing)}")


def cache_dir() -> Path:
    """Return the folder for cached arrays: $GF_ENV_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GF_ENV_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("gf_env"))


def cached_array(
    name: str, shape: tuple[int, ...], make: Callable[[range], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Return a uint8 array from the cache folder, made if it is not there or not as it was written.

    Several processes that ask at once make it once.

    Args:
        name: name of the file, without `.npy`; says everything that the values depend on.
        shape: shape of the whole array.
        make: returns the values of some rows; only called when the array has to be made.

    Returns:
        The array, memory-mapped copy-on-write; held in memory, with a warning, where the folder
        cannot be written.
    """
    folder = cache_dir()
    cached = ArrayFile(folder / f"{name}.npy", shape, np.uint8, {}, _CACHE_PIECE_BYTES)
    try:
        with contextlib.suppress(TensorFileError):
            return cached.read()
        with cached.exclusive():
            with contextlib.suppress(TensorFileError):
                return cached.read()  # another process made it while we waited
            _make_anew(cached, make)
            return cached.read()
    except OSError as error:
        warnings.warn(
            f"cannot cache in {folder} ({error}); the values are made in memory instead. "
            "Set GF_ENV_CACHE to a folder with space to avoid this.",
            stacklevel=3,
        )
        return np.concatenate([make(rows) for rows in cached.pieces])


def _make_anew(cached: ArrayFile, make: Callable[[range], NDArray[np.uint8]]) -> None:
    """Make an array beside its place and move it there, so that others see it whole."""
    partial = dataclasses.replace(cached, path=cached.path.with_suffix(".partial.npy"))
    partial.delete()  # what a process left that was killed
    try:
        for rows in partial.missing_pieces():
            partial.write(rows, make(rows))
        partial.replace(cached)
    finally:
        partial.delete()
    cached.path.with_suffix(".crc32").unlink(missing_ok=True)  # of caches made before the notes


def _checksum(data: Any) -> str:
    return f"{zlib.crc32(data):08x}"


def _notes_checksum(notes: dict[str, Any]) -> str:
    return _checksum(json.dumps(notes, sort_keys=True).encode())
