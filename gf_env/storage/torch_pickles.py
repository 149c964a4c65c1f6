"""Files pickled by torch, read without running any code in them.

Only tensors, numbers, text and plain containers are accepted.
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
    """Return the parts of a checkpoint by name, with tensors on the CPU.

    Raises:
        TensorFileError: no file, a damaged one, or one that holds something else or code.
    """
    path = Path(path)
    if not path.is_file():
        raise TensorFileError(f"expected a checkpoint at {path}, found no file")
    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise TensorFileError(
            f"{path} cannot be read as a checkpoint ({_cause(error)}): it is damaged or cut off, "
            "or holds something that would run code, which is refused. Fetch it again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise TensorFileError(
            f"expected {path} to hold the parts of a checkpoint by name, found {kind_of(content)}"
        )
    return content


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
    return f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" or "nothing"
