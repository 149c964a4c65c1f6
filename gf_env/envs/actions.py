"""Action codecs: how an agent says where to look, turned into looks, which the rules understand.

Each codec has a Gymnasium space and the only code that knows what its actions mean. Learners on the
device use `look`; environments and the evaluation, which get NumPy arrays from policies, `decode`.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.geometry import Lattice, action_to_location, location_to_action


class Look(NamedTuple):
    """The next look of n episodes.

    Attributes:
        locations: (n, 2) float32 in [0, 1], (row, col).
    """

    locations: torch.Tensor


class ActionCodec(Protocol):
    """What the rest of the system asks of actions.

    Attributes:
        grid_size: n where actions number n x n patches; None where they are locations.
        lattice: all patches that there are actions for; None where actions reach every patch.
    """

    grid_size: int | None
    lattice: Lattice | None

    @property
    def space(self) -> spaces.Space[Any]:
        """The action space of one environment."""
        ...

    def decode(self, actions: Any, count: int) -> Look:
        """Turn the actions of `count` episodes, an array of the space's values, into a look.

        Raises:
            ValueError: a wrong shape or type, NaN, or a number outside the space.
        """
        ...

    def encode(self, look: Look) -> NDArray[Any]:
        """Return the actions that mean a look, or the nearest one that there is."""
        ...

    def look(self, choices: torch.Tensor) -> Look:
        """Turn what a network on the device chose into a look.

        Args:
            choices: (n, 2) locations, clipped to [0, 1], or (n,) int64 numbers of patches.
        """
        ...

    def require_grid(self, why: str) -> int:
        """Return `grid_size` for those who need one; `why` is a clause that says what for.

        Raises:
            ValueError: actions are locations.
        """
        if self.grid_size is None:
            raise ValueError(f"{why}, but the task's actions are locations; make it with grid_size")
        return self.grid_size


class LocationActions(ActionCodec):
    """(row, col) in [-1, 1], from the top-left patch to the bottom-right one; clipped outside."""

    def __init__(self, device: torch.device) -> None:
        self.grid_size = self.lattice = None
        self._device = device

    @property
    @override
    def space(self) -> spaces.Box:
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    @override
    def decode(self, actions: Any, count: int) -> Look:
        array = np.asarray(actions)
        if array.shape != (count, 2) or array.dtype.kind not in "fiu":
            raise ValueError(
                f"expected {count} (row, col) actions in [-1, 1], numbers of shape ({count}, 2), "
                f"got shape {array.shape} of {array.dtype}"
            )
        bad = np.flatnonzero(np.isnan(array).any(axis=1))
        if bad.size:
            raise ValueError(
                f"actions must not be NaN, got {array[bad[0]]} in episode {bad[0]} and "
                f"{len(bad)} of {count} in all"
            )
        return Look(action_to_location(_on(self._device, array.astype(np.float32))))

    @override
    def encode(self, look: Look) -> NDArray[np.float32]:
        actions: NDArray[np.float32] = location_to_action(look.locations).cpu().numpy()
        return actions

    @override
    def look(self, choices: torch.Tensor) -> Look:
        return Look(choices.clamp(0, 1))


class GridActions(ActionCodec):
    """The number of a patch in a regular grid of n x n patches, row-major."""

    lattice: Lattice

    def __init__(self, grid: Lattice, device: torch.device) -> None:
        self.grid_size, self.lattice = len(grid.lines), grid
        self._device, self._locations = device, grid.locations(device)

    @property
    @override
    def space(self) -> spaces.Discrete:
        return spaces.Discrete(len(self.lattice))

    @override
    def decode(self, actions: Any, count: int) -> Look:
        array, choices = np.asarray(actions), len(self.lattice)
        if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"expected {count} grid indices, integers of shape ({count},), "
                f"got shape {array.shape} of {array.dtype}"
            )
        bad = np.flatnonzero((array < 0) | (array >= choices))
        if bad.size:
            raise ValueError(
                f"grid indices must be in [0, {choices}), got {array[bad[0]]} in episode {bad[0]} "
                f"and {len(bad)} of {count} in all"
            )
        return self.look(_on(self._device, array.astype(np.int64)))

    @override
    def encode(self, look: Look) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = self.lattice.index(look.locations).cpu().numpy()
        return numbers

    @override
    def look(self, choices: torch.Tensor) -> Look:
        return Look(self._locations[choices])


def action_codec(
    grid_size: int | None, image_size: int, patch_size: int, device: torch.device
) -> ActionCodec:
    """Return the codec for n x n patches, or for locations where `grid_size` is None."""
    if grid_size is None:
        return LocationActions(device)
    return GridActions(Lattice.grid(grid_size, image_size, patch_size), device)


def _on(device: torch.device, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
