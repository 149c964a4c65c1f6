"""Results on disk: a row a run, appended to a file of JSON lines and never overwritten.

A run that was killed left no row and is done anew; one that failed left its reason. Arrays of each
image and trained policies stand in folders beside the file. Each row has a checksum, and that of
its arrays; a row that is damaged, or says something else than its arrays, is as if it were not
there: it is named, and its run is done again.
"""

import dataclasses
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic
from numpy.typing import NDArray
from pydantic import TypeAdapter

from agents.benchmark.results import DONE, Result, ResultsError
from gf_env.storage.files import parse_json, read_file, short, write_atomically

FORMAT = "gf-env benchmark results 2"
_FORMAT_LINE = json.dumps({"format": FORMAT}).encode()
_BEFORE_CHECKSUMS = json.dumps({"format": "gf-env benchmark results 1"}).encode()
"""Begins files some of whose rows may have no checksum."""
_CHECKSUM = "checksum"
_KEY = r"[\w-]{1,64}"
"""Files are named by keys, so one with a slash would name a file elsewhere."""

_ROW = TypeAdapter(Result)
"""Makes rows of what JSON has: lists become tuples, and objects records."""

_ARRAYS = {
    "correct": ("bool", 2),
    "confidence": ("float32", 2),
    "locations": ("float32", 3),
    "labels": ("int64", 1),
    "indices": ("int64", 1),
    "looks": ("int64", 1),
}
"""Type and number of axes of a run's arrays."""
_LARGEST_RATIO, _SPARE_BYTES = 256, 1 << 20
"""How much larger than their file arrays may be: mostly equal values compress well."""
_ROUNDING = 1e-6
"""Of means over images."""


class ResultsFolder:
    """A folder of results: `results.jsonl`, `arrays/`, `policies/`, `checkpoints/`.

    Args:
        path: the folder; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "results.jsonl"
        self.damaged_file = path / "damaged.jsonl"

    def read(self) -> list[Result]:
        """Return all rows in the order in which they were written, but those that are damaged.

        A last line that a kill cut off is left out, too.

        Raises:
            ResultsError: the file cannot be read, or is of another format.
        """
        return [row for _, row in self._lines() if isinstance(row, Result)]

    def damaged(self) -> list[str]:
        """Return a sentence on each damaged line; errors as of `read`."""
        return [fault for _, fault in self._lines() if isinstance(fault, str)]

    def set_aside_damaged(self) -> None:
        """Move damaged lines to `damaged.jsonl`, so that `results.jsonl` is sound again.

        Raises:
            OSError: no room or no permission; no line is lost.
        """
        lines = self._lines()
        damaged = [line for line, fault in lines if isinstance(fault, str)]
        if damaged:
            with self.damaged_file.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in damaged))
                file.flush()
                os.fsync(file.fileno())
            first = read_file(self.file).split(b"\n", 1)[0]
            kept = [first, *(line for line, row in lines if isinstance(row, Result)), b""]
            write_atomically(self.file, b"\n".join(kept))

    def _lines(self) -> list[tuple[bytes, Result | str]]:
        """Return each line, and its row or what is wrong with it."""
        if not self.file.exists():
            return []
        try:
            content = read_file(self.file)
        except OSError as error:
            raise ResultsError(f"{self.file} cannot be read ({error.strerror})") from error
        first, *rows = content.split(b"\n")[:-1] or [_FORMAT_LINE]
        if first not in (_FORMAT_LINE, _BEFORE_CHECKSUMS):
            raise ResultsError(
                f"expected {self.file} to begin with the format {FORMAT!r}, "
                f"found {short(first)}; choose another folder"
            )
        found: list[tuple[bytes, Result | str]] = []
        for number, line in enumerate(rows, 2):
            try:
                found.append((line, _read_row(line, needs_checksum=first == _FORMAT_LINE)))
            except (ValueError, TypeError) as error:
                reason = str(error).replace("\n", " ")
                found.append((line, f"line {number} of {self.file} is damaged: {reason}"))
        return found

    def latest(self) -> dict[str, Result]:
        """Return the newest row of each run by its key."""
        return {row.key: row for row in self.read()}

    def sound(self, keys: Collection[str]) -> tuple[dict[str, Result], list[str]]:
        """Return the newest sound row of each run by its key, and a sentence on what is damaged.

        Args:
            keys: of the runs whose rows are compared with their arrays, too.

        Raises:
            ResultsError: see `read`.
        """
        faults, rows = self.damaged(), self.latest()
        for key in [key for key in rows if key in keys]:
            fault = self.fault(rows[key])
            if fault is not None:
                faults.append(fault)
                del rows[key]
        return rows, faults

    def append(self, result: Result) -> None:
        """Write a row; it is on the disk when this returns.

        Raises:
            OSError: no room or no permission; it names the file, whose rows stay.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        line = _row_line(result)
        try:
            with self.file.open("a+b") as file:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)  # a row that a kill cut off is none
                if whole == 0:
                    file.write(_FORMAT_LINE + b"\n")
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: cannot write a row of {len(line):,} bytes, whose run has to be "
                "done again; the rows before are still there",
                str(self.file),
            ) from error

    def arrays_path(self, key: str) -> Path:
        """Return where the arrays of each image of a run are."""
        return self.path / "arrays" / f"{key}.npz"

    def policy_stem(self, key: str) -> Path:
        """Return where a trained policy is, without its ending."""
        return self.path / "policies" / key

    def checkpoint_path(self, key: str) -> Path:
        """Return where the training of a run that is not done yet is resumed from."""
        return self.path / "checkpoints" / f"{key}.safetensors"

    def write_arrays(self, key: str, arrays: dict[str, NDArray[Any]]) -> str:
        """Write the arrays of a run, whole or not at all; return their file's SHA-256."""
        buffer = io.BytesIO()
        # NumPy before 2.1 has no `allow_pickle` here; none of ours would need it
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_atomically(self.arrays_path(key), buffer.getvalue())
        return hashlib.sha256(buffer.getvalue()).hexdigest()

    def arrays(self, row: Result) -> dict[str, NDArray[Any]]:
        """Return a run's arrays by name.

        `correct` (n, T) bool, `confidence` (n, T) float32, `locations` (n, T - 1, 2) float32 in
        [0, 1], `labels` and `indices` (n,) int64; of the deterministic evaluation. Where the
        policy stops, `looks` (n,) int64 too: how many were taken, the glance included.

        Raises:
            ResultsError: they are not there or damaged, or not those that the row is about.
        """
        path = self.arrays_path(row.key)
        try:
            content = read_file(path)
            if row.arrays is not None and hashlib.sha256(content).hexdigest() != row.arrays:
                raise ValueError("they are not those that its row was written with")
            arrays = _read_arrays(content)
            _check_metrics(row, arrays)
        except Exception as error:  # a damaged archive fails in any way there is
            raise ResultsError(
                f"the arrays of a run cannot be read from {path} ({error}); run it again"
            ) from error
        return arrays

    def fault(self, row: Result) -> str | None:
        """Return what is wrong with a row, if anything: it has to be done again.

        Arrays that are not there are no fault: rows may be kept without.
        """
        if row.status != DONE:
            return None
        try:
            row.metrics()
            row.metrics(deterministic=False)
            if self.arrays_path(row.key).exists():
                self.arrays(row)
        except ResultsError as error:
            return f"{row.policy!r}, seed {row.seed}: {error}"
        return None


def _row_line(result: Result) -> bytes:
    """Return a row as JSON, its checksum last."""
    described = dataclasses.asdict(result)
    return json.dumps({**described, _CHECKSUM: _checksum(described)}).encode()


def _checksum(described: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]


def _read_row(line: bytes, *, needs_checksum: bool) -> Result:
    """Return a line's row.

    Raises:
        ValueError: it is none, or its checksum does not match.
        TypeError: it is none.
    """
    described = parse_json(line)
    if not isinstance(described, dict):
        raise ValueError(f"expected an object, found {type(described).__name__}")
    checksum = described.pop(_CHECKSUM, None)
    if checksum != _checksum(described) and (needs_checksum or checksum is not None):
        raise ValueError("it does not match its checksum")
    row = _ROW.validate_python(described)
    if re.fullmatch(_KEY, row.key) is None:
        raise ValueError(f"its key must be letters and digits, got {short(row.key)}")
    return row


def _read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays in an archive, after a look at what they would be.

    Raises:
        Exception: whatever a damaged archive makes the libraries raise.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        most_bytes = _LARGEST_RATIO * len(content) + _SPARE_BYTES
        if sum(each.file_size for each in archive.infolist()) > most_bytes:
            raise ValueError("they are far larger than their file")
        for entry in archive.infolist():
            with archive.open(entry) as file:
                if read_magic(file) != (1, 0):
                    raise ValueError("another version of the format")
                shape, _, dtype = read_array_header_1_0(file)
            name = entry.filename.removesuffix(".npy")
            if (dtype.name, len(shape)) != _ARRAYS.get(name):
                raise ValueError(f"{short(name)} is {dtype} with {len(shape)} axes")
            if np.prod(shape, dtype=object) * dtype.itemsize > entry.file_size:
                raise ValueError(f"{name} is larger than what there is of it")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if len({len(value) for value in arrays.values()}) != 1:
        raise ValueError("they are of different numbers of images")
    return arrays


def _check_metrics(row: Result, arrays: dict[str, NDArray[Any]]) -> None:
    """Check a row's metrics against its arrays.

    Raises:
        ValueError: they differ.
    """
    checked: list[tuple[str, Any]] = [("correct", row.metrics().accuracy)]
    if row.metrics().mean_looks is not None and "looks" in arrays:
        checked.append(("looks", row.metrics().mean_looks))
    for name, said in checked:
        found = arrays[name].mean(axis=0)
        if np.shape(said) != found.shape or not np.allclose(said, found, rtol=0, atol=_ROUNDING):
            raise ValueError(f"the mean of {name!r} is {found} there, and its row says {said}")
