"""Plain files: read only where they are files, and written whole or not at all.

Whoever is killed while writing leaves a partial file, which the next writer to that folder removes.
"""

import contextlib
import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

if os.name == "posix":
    import fcntl


class FolderInUseError(ValueError):
    """A folder that only one process may write to, and that another one has."""


PARTIAL_SUFFIX = ".gf-partial"
"""What the names of files that are being written end with."""
LOCK = ".lock"
"""The file in a folder that only one process may write to."""
LARGEST_FILE = 1 << 29
"""Bytes of what is read whole and is not known to be larger, such as an image or rows."""
_LONGEST_NAME = 80


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file for reading; anything else, such as a named pipe, might never end.

    Raises:
        OSError: no file, no regular one, or no permission.
    """
    # without waiting: opening a pipe would, until somebody writes to it
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        yield file


def check_regular(folder: str | os.PathLike[str]) -> None:
    """Check that there is nothing but files and folders below one; a named pipe might never end.

    Raises:
        OSError: there is something else, or no permission.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.isfile(path):
                raise OSError(errno.EINVAL, "not a regular file", path)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a regular file of no more than `LARGEST_FILE` bytes.

    Raises:
        OSError: see `open_file`; or it is larger.
    """
    with open_file(path) as file:
        check_size(path)
        return file.read()


def check_size(path: str | os.PathLike[str]) -> None:
    """Check that a file, if it is there, is no larger than `LARGEST_FILE` bytes.

    Raises:
        OSError: it is.
    """
    if os.path.exists(path) and os.path.getsize(path) > LARGEST_FILE:
        reason = f"larger than {LARGEST_FILE >> 20} MiB, which no such file is"
        raise OSError(errno.EFBIG, reason, os.fspath(path))


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """Return what JSON says.

    Args:
        text: the JSON.
        finite: refuse NaN and infinity, which Python's JSON may have.

    Raises:
        ValueError: no JSON, one that is nested too deeply, or numbers that are refused.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse if finite else None,
            parse_float=_finite_float if finite else None,
        )
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"its numbers must be finite, found {constant}")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"its numbers must be finite, found {short(digits)}")
    return value


def short(text: object) -> str:
    """Return a text from a file for an error message, cut where it is long."""
    text = str(text)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 3]}..."


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all.

    Partial files of writers that were killed are removed from its folder.

    Raises:
        OSError: no room or no permission; it names the file, and what was at `path` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path.parent)
    kept = "the one before is still there" if path.exists() else "there is none yet"
    try:
        _write_and_move(path, content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: cannot write {len(content):,} bytes; {kept}",
            os.fspath(path),
        ) from error


def _write_and_move(path: Path, content: bytes) -> None:
    with _partial_file(path) as (file, partial):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.chmod(partial, 0o644)  # it was made so that only its owner can read it
        os.replace(partial, path)


@contextlib.contextmanager
def _partial_file(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Make a file beside `path` that is locked while it is open, and removed unless it is moved."""
    while True:
        handle, partial = tempfile.mkstemp(PARTIAL_SUFFIX, f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            try:
                # between the two, another process may have taken it for a file that was left
                if _lock(handle) and os.path.exists(partial):
                    yield file, partial
                    return
            finally:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    os.unlink(partial)


def remove_partial_files(folder: Path, *, below: bool = False) -> None:
    """Remove the files that killed writers left in a folder, and `below` it; those in use stay."""
    pattern = f".*{PARTIAL_SUFFIX}"
    for partial in folder.rglob(pattern) if below else folder.glob(pattern):
        with contextlib.suppress(OSError), open_file(partial) as file:
            if _lock(file.fileno()):
                os.unlink(partial)


@contextlib.contextmanager
def only_process(folder: Path, doing: str) -> Iterator[None]:
    """Be the only process that does something in a folder; what killed ones left is removed.

    Args:
        folder: made if need be, and removed if nothing is written there.
        doing: what the process does, for the error.

    Raises:
        FolderInUseError: another process, or this one, does so already.
        OSError: no permission.
    """
    made = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / LOCK).acquire(blocking=False)
    except Timeout as error:
        raise FolderInUseError(
            f"another process is {doing} in {folder}; let it end, or choose another folder"
        ) from error
    try:
        with lock:
            remove_partial_files(folder, below=True)
            yield
    finally:
        if made and [*folder.iterdir()] == [folder / LOCK]:  # nothing was done
            (folder / LOCK).unlink()
            folder.rmdir()


def _lock(handle: int) -> bool:
    """Lock an open file until it is closed; False where another process, or thread, has it.

    A lock ends with its process, so that a file that can be locked is nobody's.
    """
    if os.name != "posix":
        return True  # there a file that is open cannot be removed anyway
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
