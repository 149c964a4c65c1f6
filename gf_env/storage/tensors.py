"""Named tensors and a configuration in one safetensors file.

Files are written whole or not at all, and read with checks; nothing is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise

_Module = TypeVar("_Module", bound=torch.nn.Module)


class TensorFileError(ValueError):
    """A file that is damaged, or holds something else than asked for."""


def save_tensors(
    path: str | os.PathLike[str],
    kind: str,
    config: dict[str, Any],
    tensors: dict[str, torch.Tensor],
) -> None:
    """Write a file; one that is already at `path` stays until the new one is complete.

    Args:
        path: where to.
        kind: what the file holds, checked when it is read.
        config: JSON-serialisable.
        tensors: by name.

    Raises:
        OSError: no room or no permission.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    described = json.dumps(config)
    metadata = {"kind": kind, "config": described, "sha256": tensors_digest(described, tensors)}
    write_atomically(Path(path), serialise(tensors, metadata))


def load_tensors(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return configuration and tensors of a file written by `save_tensors`.

    Raises:
        TensorFileError: the file is damaged or of another kind.
    """
    with safetensors_errors(path):
        content = Path(path).read_bytes()  # at once, since another process may replace the file
        tensors: dict[str, torch.Tensor] = deserialise(content)
    header_size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + header_size]).get("__metadata__", {})
    if metadata.get("kind") != kind:
        raise TensorFileError(
            f"expected {path} to hold a {kind!r}, found {metadata.get('kind', 'no kind')!r}"
        )
    if metadata.get("sha256") != tensors_digest(metadata.get("config", ""), tensors):
        raise TensorFileError(
            f"the content of {path} does not match its checksum; it is damaged. "
            "Fetch or save it again."
        )
    config: dict[str, Any] = json.loads(metadata["config"])
    return config, tensors


def tensor_file_kind(path: str | os.PathLike[str]) -> str:
    """Return what a file written by `save_tensors` holds, "" where it does not say.

    Raises:
        TensorFileError: the file is damaged or no safetensors.
    """
    with safetensors_errors(path), safetensors.safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    return metadata.get("kind", "")


@contextlib.contextmanager
def safetensors_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what reading a file may raise into a `TensorFileError` that names it."""
    try:
        yield
    except (safetensors.SafetensorError, OSError) as error:
        raise TensorFileError(
            f"{path} cannot be read as safetensors ({error}); it is damaged or something else. "
            "Fetch or save it again."
        ) from error


def load_module(
    path: str | os.PathLike[str],
    kind: str,
    make: Callable[[dict[str, Any]], _Module],
    device: str | torch.device,
) -> _Module:
    """Return the module in a file written by `save_tensors`, in eval mode with frozen weights.

    Args:
        path: the file.
        kind: what it must hold.
        make: returns a module of the file's configuration.
        device: where the weights go.

    Raises:
        TensorFileError: a damaged file, one of another kind, or a configuration that cannot be.
    """
    config, tensors = load_tensors(path, kind)
    try:
        module = make(config)
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError(f"{path} holds a configuration that cannot be: {error}") from error
    load_into(module, tensors, path)
    return module.to(device).eval().requires_grad_(False)


def load_into(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: object) -> None:
    """Load tensors into a module that must have exactly these names and shapes.

    Args:
        module: gets the values.
        tensors: by name.
        source: where they come from, for the error.

    Raises:
        TensorFileError: names or shapes differ.
    """
    expected = module.state_dict()
    faults = [f"{name} is missing" for name in sorted(expected.keys() - tensors.keys())]
    faults += [f"{name} is foreign" for name in sorted(tensors.keys() - expected.keys())]
    faults += [
        f"{name} is {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise TensorFileError(
            f"the tensors in {source} do not fit its configuration: {'; '.join(faults[:5])}{more}"
        )
    module.load_state_dict(tensors)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all.

    Raises:
        OSError: no room or no permission; what was at `path` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def tensors_digest(config: str, tensors: dict[str, torch.Tensor]) -> str:
    """Return a SHA-256 over a description and tensors on the CPU, by name."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
