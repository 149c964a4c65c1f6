"""The state that a policy's `predict` returns, whose rows belong to episodes.

It is None, one array or tensor whose first axis is the episodes, or a tuple of arrays (layers,
episodes, size), as sb3-contrib's recurrent policies have it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def check_memory(memory: Any, count: int) -> None:
    """Check that a policy's state has one row for each of `count` episodes.

    Raises:
        ValueError: its rows cannot be told apart, or are not as many.
    """

    def check(part: Any, axis: int) -> None:
        shape = tuple(getattr(part, "shape", ()))
        if len(shape) <= axis or shape[axis] != count:
            found = f"shape {shape}" if shape else type(part).__name__
            raise ValueError(
                f"expected the policy's state to be None, an array with {count} rows, or a tuple "
                f"of arrays (layers, {count}, size), so that images can leave; got {found}"
            )

    _in_every_array(memory, check)


def take_memory(memory: Any, rows: Rows) -> Any:
    """Return the rows of a policy's state that belong to the episodes in `rows`."""
    return _in_every_array(memory, lambda part, axis: part[:, rows] if axis else part[rows])


def extend_memory(memory: Any, count: int) -> Any:
    """Return a policy's state with rows for `count` episodes that it has not seen yet.

    What is in them does not matter: `episode_start` tells the policy to clear them.
    """

    def extend(part: Any, axis: int) -> Any:
        shape = list(part.shape)
        shape[axis] = count
        if isinstance(part, torch.Tensor):
            return torch.cat([part, part.new_zeros(shape)], dim=axis)
        return np.concatenate([part, np.zeros(shape, part.dtype)], axis=axis)

    return _in_every_array(memory, extend)


def spread_memory(memory: Any, rows: Rows, count: int) -> Any:
    """Return a state of k episodes as one of `count`, k of which are in `rows`; others are 0."""
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    # the row that is added, of zeros, is the last one
    return take_memory(extend_memory(memory, 1), places)


def _in_every_array(memory: Any, change: Callable[[Any, int], Any]) -> Any:
    """Return a policy's state, each array changed by `change(array, axis of the episodes)`."""
    if memory is None:
        return None
    if isinstance(memory, tuple):
        return tuple(change(part, 1) for part in memory)
    return change(memory, 0)
