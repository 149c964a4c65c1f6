"""Named tensors and a configuration in one safetensors file.

Files are written whole or not at all, equal content as equal bytes. They are read with checks, the
same for whatever a file holds: nothing is unpickled, and nothing is made that is larger than what
the file has for it.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import torch
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise

from gf_env.storage.files import open_file, parse_json, short, write_atomically

_LENGTH_BYTES = 8
NAMED = 5
"""Faults that an error names."""
_LARGEST_HEADER = 100_000_000
"""Bytes, as the library has it."""


class TensorFileError(ValueError):
    """A file that is damaged, or holds something else than asked for."""


def save_tensors(
    path: str | os.PathLike[str],
    kind: str,
    config: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    origin: str | None = None,
) -> None:
    """Write a file; one that is already at `path` stays until the new one is complete.

    Args:
        path: where to.
        kind: what the file holds, checked when it is read.
        config: JSON-serialisable.
        tensors: by name.
        origin: of what they were converted from, if anything: its SHA-256.

    Raises:
        OSError: no room or no permission.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    described = json.dumps(config)
    digest = tensors_digest(described, tensors, origin)
    metadata = {"kind": kind, "config": described, "sha256": digest}
    if origin is not None:
        metadata["origin"] = origin
    write_atomically(Path(path), _in_order(serialise(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its header's entries in order; the library's is random."""
    header, data_start = _header(content)
    about = dict(sorted(header.pop("__metadata__").items()))
    ordered = json.dumps({"__metadata__": about, **header}, separators=(",", ":")).encode()
    ordered += b" " * (-len(ordered) % _LENGTH_BYTES)
    return len(ordered).to_bytes(_LENGTH_BYTES, "little") + ordered + content[data_start:]


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file that has been found sound, and where it ends."""
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    header: dict[str, Any] = parse_json(content[_LENGTH_BYTES:end])
    return header, end


def load_tensors(
    path: str | os.PathLike[str], kind: str, *, finite: bool = True
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return configuration and tensors of a file written by `save_tensors`.

    Args:
        path: the file.
        kind: what it must hold.
        finite: refuse NaN and infinity in both.

    Raises:
        TensorFileError: the file is damaged or of another kind.
    """
    metadata, tensors = read_safetensors(path)
    return check_content(path, kind, metadata, tensors, finite), tensors


def check_content(
    path: object,
    kind: str,
    metadata: Mapping[str, str],
    tensors: dict[str, torch.Tensor],
    finite: bool,
) -> dict[str, Any]:
    """Check what `read_safetensors` returned, and return the configuration.

    Args:
        path: the file, for errors.
        kind: what it must hold.
        metadata: what it says of itself.
        tensors: by name.
        finite: refuse NaN and infinity in both.

    Raises:
        TensorFileError: another kind, content that does not match its checksum, or a configuration
            that cannot be.
    """
    if metadata.get("kind") != kind:
        found = short(metadata.get("kind", "no kind"))
        raise TensorFileError(f"expected {path} to hold a {kind!r}, found {found!r}")
    described = metadata.get("config", "")
    if metadata.get("sha256") != tensors_digest(described, tensors, metadata.get("origin")):
        raise TensorFileError(
            f"the content of {path} does not match its checksum; it is damaged. "
            "Fetch or save it again."
        )
    try:
        config = parse_json(described, finite=finite)
    except ValueError as error:
        raise TensorFileError(f"{path} holds a configuration that cannot be: {error}") from error
    if not isinstance(config, dict):
        raise TensorFileError(
            f"{path} holds a configuration that cannot be: expected an object, "
            f"found {type(config).__name__}"
        )
    if finite:
        check_finite(tensors, path)
    return config


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return what any safetensors file says of itself, and its tensors by name.

    Raises:
        TensorFileError: the file is damaged or no safetensors.
    """
    with _safetensors_errors(path):
        with open_file(path) as file:  # once, since another process may replace the file
            content = _read_header(file)
            content += file.read()
        tensors: dict[str, torch.Tensor] = deserialise(content)
        metadata: dict[str, str] = _header(content)[0].get("__metadata__") or {}
    return metadata, tensors


def _read_header(file: BinaryIO) -> bytes:
    """Return the beginning of a safetensors file, which says that the file is as long as it is.

    Raises:
        ValueError: it says something else, or nothing; the rest may then be of any size.
    """
    length = file.read(_LENGTH_BYTES)
    size, file_size = int.from_bytes(length, "little"), os.fstat(file.fileno()).st_size
    if not 0 < size <= min(_LARGEST_HEADER, file_size - _LENGTH_BYTES):
        raise ValueError("it has no header")
    content = length + file.read(size)
    header, data_start = _header(content)
    ends = [value["data_offsets"][1] for name, value in header.items() if name != "__metadata__"]
    if data_start + max(ends, default=0) != file_size:
        raise ValueError("it is longer or shorter than its header says")
    return content


def tensor_file_kind(path: str | os.PathLike[str]) -> str:
    """Return what a file written by `save_tensors` holds, "" where it does not say.

    Raises:
        TensorFileError: the file is damaged or no safetensors.
    """
    with _safetensors_errors(path):
        with open_file(path):
            pass  # a regular file, which the library can map
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    return metadata.get("kind", "")


@contextlib.contextmanager
def _safetensors_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what reading a file may raise into a `TensorFileError` that names it."""
    try:
        yield
    except Exception as error:  # the library's own, and for forged types or shapes torch's
        raise TensorFileError(
            f"{path} cannot be read as safetensors ({short(error)}); it is damaged or something "
            "else. Fetch or save it again."
        ) from error


def check_finite(tensors: Mapping[str, torch.Tensor], source: object) -> None:
    """Check that tensors have no NaN and no infinity.

    Raises:
        TensorFileError: some have; the first ones are named.
    """
    faulty = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if faulty:
        raise TensorFileError(
            f"expected finite numbers in {source}, found NaN or infinity in "
            f"{', '.join(map(short, faulty[:NAMED]))}{', ...' if len(faulty) > NAMED else ''}"
        )


def tensors_digest(
    config: str, tensors: Mapping[str, torch.Tensor], origin: str | None = None
) -> str:
    """Return a SHA-256 over a description, an origin and tensors on the CPU, by name."""
    digest = hashlib.sha256(config.encode())
    if origin is not None:
        digest.update(f"origin {origin};".encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
