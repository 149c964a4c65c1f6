"""What policies answer, checked and turned into locations.

Continuous actions are (row, col) in [-1, 1]; discrete ones number the patches of a grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.geometry import action_to_location


def to_locations(
    actions: Any, count: int, grid: torch.Tensor | None, device: torch.device
) -> torch.Tensor:
    """Turn `count` actions into locations (count, 2) float32 in [0, 1], (row, col).

    Args:
        actions: (count, 2) numbers in [-1, 1], clipped outside, or, with a grid, (count,) integers.
        count: number of episodes.
        grid: (k, 2) float32 locations on the device, or None for continuous actions.
        device: where the locations go.

    Raises:
        ValueError: wrong shape or type, NaN, or a grid index that does not exist.
    """
    array = np.asarray(actions)
    if grid is None:
        return action_to_location(_on(device, _continuous(array, count)))
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"expected {count} grid indices, integers of shape ({count},), "
            f"got shape {array.shape} of {array.dtype}"
        )
    bad = np.flatnonzero((array < 0) | (array >= len(grid)))
    if bad.size:
        raise ValueError(
            f"grid indices must be in [0, {len(grid)}), got {array[bad[0]]} in episode {bad[0]} "
            f"and {len(bad)} of {count} in all"
        )
    return grid[_on(device, array.astype(np.int64))]


def _continuous(array: NDArray[Any], count: int) -> NDArray[np.float32]:
    if array.shape != (count, 2) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"expected {count} (row, col) actions in [-1, 1], numbers of shape ({count}, 2), "
            f"got shape {array.shape} of {array.dtype}"
        )
    if np.isnan(array).any():
        bad = np.flatnonzero(np.isnan(array).any(axis=1))
        raise ValueError(
            f"actions must not be NaN, got {array[bad[0]]} in episode {bad[0]} and "
            f"{len(bad)} of {count} in all"
        )
    return array.astype(np.float32)


def _on(device: torch.device, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
