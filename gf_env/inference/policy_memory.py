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


def join_memory(memory: Any, others: Any, counts: tuple[int, int]) -> Any:
    """Return the states of some episodes and of others as one.

    Args:
        memory: of the first `counts[0]` episodes; None where the policy has seen none of them yet,
            or keeps no state.
        others: likewise, of `counts[1]`.
        counts: how many episodes each is of.

    Returns:
        A state with zeros for episodes that the policy has not seen yet: what is in these rows does
        not matter, as `episode_start` tells the policy to clear them. None if both are None.
    """
    if memory is None and others is None:
        return None
    if memory is None:
        memory = _zeros(others, counts[0])
    if others is None:
        others = _zeros(memory, counts[1])
    if isinstance(memory, tuple):
        return tuple(_concatenate(*pair, 1) for pair in zip(memory, others, strict=True))
    return _concatenate(memory, others, 0)


def _concatenate(first: Any, second: Any, axis: int) -> Any:
    both = [first, second]
    return torch.cat(both, axis) if isinstance(first, torch.Tensor) else np.concatenate(both, axis)


def _zeros(memory: Any, count: int) -> Any:
    """Return a state like another, of `count` episodes."""

    def make(part: Any, axis: int) -> Any:
        shape = list(part.shape)
        shape[axis] = count
        if isinstance(part, torch.Tensor):
            return part.new_zeros(shape)
        return np.zeros(shape, part.dtype)

    return _in_every_array(memory, make)


def spread_memory(memory: Any, rows: Rows, count: int) -> Any:
    """Return a state of k episodes as one of `count`, k of which are in `rows`; others are 0."""
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    # the row that is added, of zeros, is the last one
    return take_memory(join_memory(memory, None, (len(rows), 1)), places)


def _in_every_array(memory: Any, change: Callable[[Any, int], Any]) -> Any:
    """Return a policy's state, each array changed by `change(array, axis of the episodes)`."""
    if memory is None:
        return None
    if isinstance(memory, tuple):
        return tuple(change(part, 1) for part in memory)
    return change(memory, 0)
