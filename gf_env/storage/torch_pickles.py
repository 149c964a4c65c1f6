"""Files pickled by torch, read without running any code in them.

Only tensors, numbers, text and plain containers are accepted. The zip container of today's torch
has checksums, which torch itself does not look at. The one before it has none, so that only a
digest from elsewhere tells whether such a file is what its author wrote: it is always logged.
"""

import hashlib
import io
import logging
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gf_env.storage.files import open_file, short
from gf_env.storage.tensors import TensorFileError

_logger = logging.getLogger("gf_env")

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""What torch's two containers begin with."""
_LARGEST_DEPTH = 100
"""Of containers in containers; the deepest that torch writes, an optimiser's state, has five."""


@dataclass(frozen=True)
class Pickled:
    """What `read_pickle` found.

    Attributes:
        parts: of the checkpoint, by name.
        sha256: of the file.
    """

    parts: dict[str, Any]
    sha256: str


def read_pickle(path: str | os.PathLike[str], sha256: str | None = None) -> Pickled:
    """Return the parts of a checkpoint by name, with tensors on the CPU.

    Args:
        path: the file.
        sha256: of the file, in hexadecimal digits, where it is known; else nothing but the zip
            container's checksums tells a damaged file from a sound one.

    Raises:
        TensorFileError: no file, a damaged one or another than the digest says, or one that holds
            something else or code.
    """
    try:
        with open_file(path) as file:
            raw = file.read(len(_ZIP))
            if raw != _ZIP and raw[:1] != _PICKLE:  # a file of any size may be something else
                raise TensorFileError(
                    f"{path} cannot be read as a checkpoint (it does not begin like one): it is "
                    "damaged or cut off, or something else. Fetch it again."
                )
            raw += file.read()
    except OSError as error:
        raise TensorFileError(
            f"expected a checkpoint at {path}, found no file that can be read ({error.strerror})"
        ) from error
    digest = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and sha256.lower() != digest:
        raise TensorFileError(
            f"{path} has the SHA-256 {digest} instead of {sha256}: it is damaged or another file. "
            "Fetch it again."
        )
    content = _unpickled(path, raw)
    _logger.warning("read %s, SHA-256 %s%s", path, digest, "" if sha256 is None else ", as given")
    return Pickled(content, digest)


def _unpickled(path: str | os.PathLike[str], raw: bytes) -> dict[str, Any]:
    try:
        _check_zip(raw)
        with torch.serialization.safe_globals(_numpy_globals()):
            content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise TensorFileError(
            f"{path} cannot be read as a checkpoint ({_cause(error)}): it is damaged or cut off, "
            "or holds something that would run code, which is refused. Fetch it again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise TensorFileError(
            f"expected {path} to hold the parts of a checkpoint by name, found {kind_of(content)}"
        )
    _check_sizes(content, len(raw), path)
    return content


def _check_zip(raw: bytes) -> None:
    """Check the checksums of a zip container; other files have none.

    Raises:
        ValueError: one does not match, or what is inside is larger than the file.
    """
    if raw[:4] != _ZIP:
        return
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        entries = archive.infolist()
        if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
            raise ValueError("its parts are compressed, which torch's never are")
        if sum(each.file_size for each in entries) > len(raw):
            raise ValueError("its parts are larger than the file")
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of its part {short(damaged)} does not match")


def _check_sizes(content: dict[str, Any], file_size: int, path: object) -> None:
    """Check that the tensors in a checkpoint are plain and no larger than the file.

    A few bytes can describe a tensor of any size that repeats one number, or has no values at all.

    Raises:
        TensorFileError: they are not.
    """
    sizes = {}
    for value in _tensors(content, path):
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.is_quantized:
            raise TensorFileError(
                f"expected plain tensors in {path}, found one of layout {value.layout} and type "
                f"{value.dtype} on {value.device}"
            )
        view = value.data_ptr(), tuple(value.shape), value.stride(), value.dtype
        sizes[view] = value.nbytes  # two names of the same values are written once
    if sum(sizes.values()) > file_size:
        raise TensorFileError(
            f"the tensors in {path} would take {sum(sizes.values()):,} bytes, but the file has "
            f"{file_size:,}: it is damaged or forged"
        )


def _tensors(value: Any, path: object, depth: int = 0) -> Iterator[torch.Tensor]:
    if depth > _LARGEST_DEPTH:
        raise TensorFileError(f"{path} holds containers that are nested too deeply")
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each, path, depth + 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each, path, depth + 1)


def _numpy_globals() -> list[Any]:
    """Return the types that pickles of numpy numbers and arrays need, with their names.

    The official training saves such. Structured and object arrays are not allowed.
    """
    # the module of these two differs between versions of numpy
    makers: list[Any] = [np.float64(0).__reduce__()[0], np.empty(0).__reduce__()[0]]
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    named = [(make, f"{module}.{make.__name__}") for make in makers for module in modules]
    return [*named, np.dtype, np.ndarray, *{type(np.dtype(code)) for code in "?bhilqBHILQefd"}]


def _cause(error: Exception) -> str:
    text = str(error)
    named = re.search(r"GLOBAL (\S+)", text)
    if named is not None:
        return f"it refers to {named[1]}"
    # torch's long message advises to load unsafely, which is no option here
    if not text or "weights_only" in text:
        return type(error).__name__
    return f"{type(error).__name__}: {text[:100]}"


def kind_of(value: object) -> str:
    """Return an error message's words for a value: its type, and the names in a dict."""
    if isinstance(value, dict):
        return f"a dict with {first_names(sorted(map(str, value)))}"
    return type(value).__name__


def first_names(names: list[str]) -> str:
    """Return an error message's words for many names: the first six."""
    named = ", ".join(map(short, names[:6]))
    return f"{named}{', ...' if len(names) > 6 else ''}" or "nothing"
