"""Named tensors and a configuration in one safetensors file.

Files are written whole or not at all, equal content as equal bytes. They are read with checks, the
same for whatever a file holds: nothing is unpickled, and nothing is made that is larger than what
the file has for it.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import safetensors
import torch
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise
from torch.nn.modules.module import register_module_parameter_registration_hook

from gf_env.storage.files import open_file, parse_json, short, write_atomically

_Module = TypeVar("_Module", bound=torch.nn.Module)
_LENGTH_BYTES = 8
_SPARE_TENSORS, _SPARE_BYTES = 1 << 12, 1 << 26
"""What a module may have beyond what there is for it and still be compared with it by names and
shapes, which says more than that it is too large."""
_NAMED = 5
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


def save_module(
    path: str | os.PathLike[str], kind: str, config: dict[str, Any], module: torch.nn.Module
) -> None:
    """Write a module's weights, and where they came from; arguments and errors: `save_tensors`."""
    save_tensors(path, kind, config, module.state_dict(), getattr(module, "origin", None))


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
    return _checked(path, kind, metadata, tensors, finite), tensors


def _checked(
    path: object,
    kind: str,
    metadata: Mapping[str, str],
    tensors: dict[str, torch.Tensor],
    finite: bool,
) -> dict[str, Any]:
    """Check a file's kind, checksum and numbers; return its configuration."""
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


def load_module(
    path: str | os.PathLike[str],
    kind: str,
    make: Callable[[dict[str, Any]], _Module],
    device: str | torch.device,
) -> _Module:
    """Return the module in a file written by `save_module`, in eval mode with frozen weights.

    Args:
        path: the file.
        kind: what it must hold.
        make: returns a module of the file's configuration.
        device: where the weights go.

    Raises:
        TensorFileError: a damaged file, one of another kind, a configuration that cannot be, or
            tensors that are not those of its module.
    """
    metadata, tensors = read_safetensors(path)
    config = _checked(path, kind, metadata, tensors, finite=True)
    module = make_for(tensors, lambda: make(config), path)
    load_into(module, tensors, path)
    set_origin(module, metadata.get("origin"))
    return module.to(device).eval().requires_grad_(False)


def set_origin(module: torch.nn.Module, sha256: str | None) -> None:
    """Note on a module of what file its weights were converted; `save_module` keeps that."""
    module.origin = sha256  # type: ignore[assignment]


def make_for(
    tensors: Mapping[str, torch.Tensor], make: Callable[[], _Module], source: object
) -> _Module:
    """Make a module without weights, for `load_into`.

    Its parameters are on torch.device("meta"), where they have shapes and types but no memory. A
    module that needs far more than there is, by their number or by the size of one, is given up as
    soon as that is seen: a forged file of a few bytes may ask for a network of gigabytes.

    Args:
        tensors: all that there is to fill it with.
        make: returns the module.
        source: where the tensors come from, for the error.

    Raises:
        TensorFileError: it cannot be made, or needs far more than there is.
    """
    try:
        with _parameters_on_meta(tensors):
            return make()
    except TensorFileError:
        raise
    except Exception as error:  # a forged configuration may make torch or timm raise anything
        raise TensorFileError(f"{source} holds a configuration that cannot be: {error}") from error


@contextlib.contextmanager
def _parameters_on_meta(tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    tensors_left = len(tensors) + _SPARE_TENSORS
    most_bytes = sum(value.nbytes for value in tensors.values()) + _SPARE_BYTES
    thread = threading.get_ident()

    def to_meta(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> Any:
        nonlocal tensors_left
        if threading.get_ident() != thread:
            return None  # the hook is called for all threads
        tensors_left -= 1
        if tensors_left < 0 or parameter.nbytes > most_bytes:
            raise ValueError("it describes a far larger network than there are weights for")
        return torch.nn.Parameter(parameter.to("meta"), parameter.requires_grad)

    hook = register_module_parameter_registration_hook(to_meta)
    try:
        yield
    finally:
        hook.remove()


def load_into(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: object) -> None:
    """Load tensors into a module that must have exactly these names, shapes and types.

    Args:
        module: gets the values; with weights or without (see `make_for`).
        tensors: by name.
        source: where they come from, for the error.

    Raises:
        TensorFileError: names, shapes or types differ, or some values are not finite.
    """
    expected = module.state_dict()
    faults = [f"{name} is missing" for name in sorted(expected.keys() - tensors.keys())]
    faults += [f"{short(name)} is foreign" for name in sorted(tensors.keys() - expected.keys())]
    pairs = [(name, value, tensors[name]) for name, value in expected.items() if name in tensors]
    faults += [
        f"{name} is {tuple(found.shape)} instead of {tuple(value.shape)}"
        for name, value, found in pairs
        if found.shape != value.shape
    ]
    faults += [
        f"{name} is {found.dtype} instead of {value.dtype}"
        for name, value, found in pairs
        if found.dtype != value.dtype
    ]
    if faults:
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise TensorFileError(
            f"the tensors in {source} do not fit its configuration: "
            f"{'; '.join(faults[:_NAMED])}{more}"
        )
    check_finite(tensors, source)
    with torch.no_grad():  # laid out in memory as the module has them
        filled = {
            name: torch.empty_like(value, device=found.device).copy_(found)
            for name, value, found in pairs
        }
    module.load_state_dict(filled, assign=any(value.is_meta for value in expected.values()))


def check_finite(tensors: Mapping[str, torch.Tensor], source: object) -> None:
    """Check that tensors have no NaN and no infinity.

    Raises:
        TensorFileError: some have; the first ones are named.
    """
    faulty = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if faulty:
        raise TensorFileError(
            f"expected finite numbers in {source}, found NaN or infinity in "
            f"{', '.join(map(short, faulty[:_NAMED]))}{', ...' if len(faulty) > _NAMED else ''}"
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
