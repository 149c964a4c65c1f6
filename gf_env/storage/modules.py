"""Modules in files of tensors: their weights and the configuration that they are made of.

A module is made without memory for its weights first, and only what fits the file is filled: a
forged file of a few bytes may ask for a network of gigabytes.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from gf_env.storage.files import short
from gf_env.storage.tensors import (
    NAMED,
    TensorFileError,
    check_content,
    check_finite,
    read_safetensors,
    save_tensors,
)

_Module = TypeVar("_Module", bound=torch.nn.Module)
_SPARE_TENSORS, _SPARE_BYTES = 1 << 12, 1 << 26
"""What a module may have beyond what there is for it and still be compared with it by names and
shapes, which says more than that it is too large."""
_READ_AS = {torch.float32: (torch.float32, torch.float16)}
"""Types in a file that are read as another one."""


def save_module(
    path: str | os.PathLike[str],
    kind: str,
    config: dict[str, Any],
    module: torch.nn.Module,
    *,
    half: bool = False,
) -> None:
    """Write a module's weights, and where they came from.

    Args:
        path: where to; a file that is already there stays until the new one is complete.
        kind: what the file holds, checked when it is read.
        config: that the module is made of, JSON-serialisable.
        module: with a state dict of tensors.
        half: write float32 as float16, in half the room; `load_into` makes it float32 again.

    Raises:
        OSError: no room or no permission.
        ValueError: some weights are too large for float16.
    """
    weights = module.state_dict()
    if half:
        weights = {name: _halved(name, value) for name, value in weights.items()}
    save_tensors(path, kind, config, weights, getattr(module, "origin", None))


def _halved(name: str, value: torch.Tensor) -> torch.Tensor:
    if value.dtype != torch.float32:
        return value
    halved = value.half()
    if not torch.isfinite(halved).all():
        raise ValueError(f"{name} has weights that are too large for float16")
    return halved


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
    config = check_content(path, kind, metadata, tensors, finite=True)
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

    Only where the module has float32 there may be float16, which becomes float32.

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
        if found.dtype not in _READ_AS.get(value.dtype, (value.dtype,))
    ]
    if faults:
        more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise TensorFileError(
            f"the tensors in {source} do not fit its configuration: "
            f"{'; '.join(faults[:NAMED])}{more}"
        )
    check_finite(tensors, source)
    with torch.no_grad():  # laid out in memory as the module has them
        filled = {
            name: torch.empty_like(value, device=found.device).copy_(found)
            for name, value, found in pairs
        }
    module.load_state_dict(filled, assign=any(value.is_meta for value in expected.values()))
