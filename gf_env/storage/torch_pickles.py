"""Files that torch has pickled, read without running any code in them.

Tensors, numbers, text and plain containers are all that is taken from them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gf_env.storage.tensors import TensorFileError


def read_pickle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is in a file of torch, by name, with its tensors on the CPU.

    Raises:
        TensorFileError: no file, a damaged one, or one that holds something else or code.
    """
    path = Path(path)
    if not path.is_file():
        raise TensorFileError(f"expected a checkpoint at {path}, found no file")
    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in any way there is
        raise TensorFileError(
            f"{path} cannot be read as a checkpoint ({_cause(error)}): it is damaged or cut off, "
            "or holds something that would run code, which is refused. Fetch it again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise TensorFileError(
            f"expected {path} to hold the parts of a checkpoint by name, found {describe(content)}"
        )
    return content


def _numpy_globals() -> list[Any]:
    """Return what numpy's numbers and arrays are made of, for files of the official training.

    Structured and object arrays are not among them.
    """
    # versions of numpy differ in where these two are
    makers: list[Any] = [np.float64(0).__reduce__()[0], np.empty(0).__reduce__()[0]]
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    named = [(make, f"{module}.{make.__name__}") for make in makers for module in modules]
    return [*named, np.dtype, np.ndarray, *{type(np.dtype(code)) for code in "?bhilqBHILQefd"}]


def _cause(error: Exception) -> str:
    text = str(error)
    named = re.search(r"GLOBAL (\S+)", text)
    if named is not None:
        return f"it refers to {named[1]}"
    # torch's long text advises to load unsafely, which is no way out here
    if not text or "weights_only" in text:
        return type(error).__name__
    return f"{type(error).__name__}: {text[:100]}"


def describe(value: object) -> str:
    """Say what something is, for an error."""
    if isinstance(value, dict):
        return f"a dict with {some(sorted(map(str, value)))}"
    return f"{type(value).__name__}"


def some(names: list[str]) -> str:
    """List the first names, for an error."""
    return f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" or "nothing"
