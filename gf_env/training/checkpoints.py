"""The state of a training, written whole or not at all and read without unpickling anything.

A state is what `state_dict()` of modules and optimisers gives: dicts, lists and plain values with
tensors among them. The tensors become those of a safetensors file and everything else JSON.
"""

import os
from typing import Any

import torch

from gf_env.storage.tensors import TensorFileError, load_tensors, save_tensors

FILE_KIND = "gf_env.TrainingState.v1"
_TENSOR, _PAIRS = "tensor:", "pairs:"


def save_state(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a state; a file that is already at `path` stays until the new one is complete.

    Raises:
        OSError: no room or no permission; the message says that the old file is still there.
    """
    tensors: dict[str, torch.Tensor] = {}
    described = _describe(state, tensors)
    try:
        save_tensors(path, FILE_KIND, {"state": described}, tensors)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write the checkpoint ({error.strerror})", str(path)
        ) from error


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a state written by `save_state`, tensors on the CPU.

    Raises:
        TensorFileError: a damaged file, or one that holds something else.
    """
    # what is not finite is for the training to say, which knows what may help
    config, tensors = load_tensors(path, FILE_KIND, finite=False)
    try:
        state: dict[str, Any] = _restore(config["state"], tensors)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TensorFileError(
            f"{path} holds a state that cannot be ({type(error).__name__}: {error}); save it again"
        ) from error
    if not isinstance(state, dict):
        raise TensorFileError(
            f"expected {path} to hold a state by name, found {type(state).__name__}"
        )
    return state


def _describe(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return JSON of a value; its tensors are added to `tensors`."""
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, dict):
        # JSON would turn the numbers that optimisers have as keys into text
        return {_PAIRS: [[key, _describe(each, tensors)] for key, each in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_describe(each, tensors) for each in value]
    return value


def _restore(described: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(described, list):
        return [_restore(each, tensors) for each in described]
    if not isinstance(described, dict):
        return described
    if _TENSOR in described:
        return tensors[described[_TENSOR]]
    return {key: _restore(each, tensors) for key, each in described[_PAIRS]}
