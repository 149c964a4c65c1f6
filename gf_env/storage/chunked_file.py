"""A large array on disk that is written piece by piece, with a checksum for each piece.

The array is a `.npy` file; a `.json` file of the same name says what it is about and has the
checksum (CRC-32) of every piece written so far, and one of itself. The array is whole when it has
all of them. What is not such a pair of files is never written over.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gf_env.storage.tensors import TensorFileError, write_atomically

_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class ChunkedFile:
    """One array, float16, and where it is kept.

    Attributes:
        path: of the `.npy` file.
        about: what the values are; JSON-serialisable, by name.
        shape: of the whole array; pieces are cut along the first axis.
    """

    path: Path
    about: dict[str, Any]
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Of the values."""
        return self._row_bytes * self.shape[0]

    @property
    def chunks(self) -> list[range]:
        """The rows of each piece, in order."""
        rows = max(1, _CHUNK_BYTES // self._row_bytes)
        starts = range(0, self.shape[0], rows)
        return [range(start, min(start + rows, self.shape[0])) for start in starts]

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * 2

    @property
    def _notes(self) -> Path:
        return self.path.with_suffix(".json")

    def checksums(self) -> list[str]:
        """Return those of the pieces written so far; none where there is no file yet.

        Raises:
            TensorFileError: the file is about something else, or its notes are damaged.
        """
        there = self.path.exists()  # asked first, since others write the notes before the file
        notes = self._read_notes()
        if notes is None:
            if there:
                raise TensorFileError(
                    f"{self.path} is there without its {self._notes.name}; choose another path, or "
                    "delete it"
                )
            return []
        found = {**notes["about"], "shape": notes["shape"]}
        check_same({**self.about, "shape": self.shape}, found, str(self.path))
        checksums: list[str] = notes["checksums"]
        return checksums

    def write(self, number: int, values: NDArray[np.float16], checksums: list[str]) -> None:
        """Write piece `number`; `checksums`, those of the pieces before, gets one more.

        Raises:
            OSError: no room or no permission; the pieces before stay.
        """
        rows = self.chunks[number]
        values = np.ascontiguousarray(values)
        if number == 0:  # a file without notes would be somebody else's
            self._write_notes([])
        with self.path.open("r+b" if number else "w+b") as file:
            np.lib.format.write_array_header_1_0(file, self._header())
            file.seek(file.tell() + rows.start * self._row_bytes)
            file.write(values.data)
            file.flush()
            os.fsync(file.fileno())
        del checksums[number:]
        checksums.append(_checksum(values.data))
        self._write_notes(checksums)

    def sound_checksums(self) -> list[str]:
        """Return those of the first pieces that are as they were written.

        Raises:
            TensorFileError: as of `checksums`.
        """
        expected = self.checksums()
        pairs = zip(expected, self._found(len(expected)), strict=False)
        return [wanted for wanted, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]

    def read(self) -> NDArray[np.float16]:
        """Return the array, memory-mapped copy-on-write.

        Every byte is checked against its checksum, once in a process while the file is the same.

        Raises:
            TensorFileError: not there, not whole, altered, or about something else.
        """
        expected = self.checksums()
        if not self.path.exists() or not self._notes.exists():
            raise TensorFileError(
                f"there is no {self.path} with its {self._notes.name}; build it first"
            )
        if len(expected) != len(self.chunks):
            raise TensorFileError(
                f"{self.path} is not whole: it has {len(expected)} of {len(self.chunks)} pieces; "
                "go on building it"
            )
        state = os.stat(self.path)
        if not _is_sound(self.path, self.shape, tuple(expected), state.st_mtime_ns, state.st_size):
            raise TensorFileError(
                f"the content of {self.path} does not match its checksums; build it again"
            )
        array: NDArray[np.float16] = np.load(self.path, mmap_mode="c")
        return array

    def _read_notes(self) -> dict[str, Any] | None:
        """Return what the notes say; None where there are none."""
        try:
            notes: dict[str, Any] = json.loads(self._notes.read_text())
            checksum = notes.pop("checksum")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            notes, checksum = {}, ""
        if checksum != _notes_checksum(notes):
            raise TensorFileError(
                f"{self._notes} is damaged, or something else than the notes of {self.path.name}; "
                "choose another path, or delete both"
            )
        return notes

    def _write_notes(self, checksums: list[str]) -> None:
        notes = {"about": self.about, "shape": self.shape, "checksums": checksums}
        notes = {**notes, "checksum": _notes_checksum(notes)}
        write_atomically(self._notes, json.dumps(notes, indent=1).encode())

    def _header(self) -> dict[str, Any]:
        return {"descr": "<f2", "fortran_order": False, "shape": self.shape}

    def _found(self, count: int) -> list[str]:
        """Return the checksums of what is in the file, of the first `count` pieces."""
        try:
            with self.path.open("rb") as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    return []
                header = np.lib.format.read_array_header_1_0(file)
                if header != (self.shape, False, np.dtype("<f2")):
                    return []
                start = file.tell()
        except (OSError, ValueError):
            return []
        checksum = functools.partial(self._read_checksum, start)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # zlib lets other threads run
            return list(pool.map(checksum, self.chunks[:count]))

    def _read_checksum(self, start: int, rows: range) -> str:
        with self.path.open("rb") as file:
            file.seek(start + rows.start * self._row_bytes)
            return _checksum(file.read(len(rows) * self._row_bytes))


def check_same(wanted: dict[str, Any], found: dict[str, Any], what: str) -> None:
    """Check that something is about what is wanted; both are JSON-serialisable.

    Raises:
        TensorFileError: it is not; all that differs is named.
    """
    wanted, found = json.loads(json.dumps(wanted)), json.loads(json.dumps(found))
    differing = [
        f"{name} {found.get(name)!r} instead of {wanted.get(name)!r}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        raise TensorFileError(f"{what} has {'; '.join(differing)}")


def _checksum(data: Any) -> str:
    return f"{zlib.crc32(data):08x}"


def _notes_checksum(notes: dict[str, Any]) -> str:
    return _checksum(json.dumps(notes, sort_keys=True).encode())


@functools.lru_cache(maxsize=32)
def _is_sound(
    path: Path, shape: tuple[int, ...], expected: tuple[str, ...], changed: int, size: int
) -> bool:
    """Whether the file is as it was written; `changed` and `size` tell another state of it."""
    return ChunkedFile(path, {}, shape)._found(len(expected)) == list(expected)
