"""Action codecs: how an agent says where to look, turned into looks, which the rules understand.

Each codec has a Gymnasium space and the only code that knows what its actions mean. Learners on the
device use `look`; environments and the evaluation, which get NumPy arrays from policies, `decode`.

To stop is an action too where the task allows it, as in DT-RAM ("Dynamic Computational Time for
Visual Attention", Li et al. 2017, arXiv 1703.10332).
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
        stop: (n,) bool, those that end instead of looking; None: none does.
    """

    locations: torch.Tensor
    stop: torch.Tensor | None = None


class ActionCodec(Protocol):
    """What the rest of the system asks of actions.

    Attributes:
        grid_size: n where actions number n x n patches; None where they are locations.
        lattice: all patches that there are actions for; None where actions reach every patch.
        stop: whether there is an action that ends the episode.
    """

    grid_size: int | None
    lattice: Lattice | None
    stop: bool

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

    def to_look(self, actions: torch.Tensor) -> Look:
        """Turn actions on the device, (n, ...) values of the space, into a look, unchecked."""
        ...

    def encode(self, look: Look) -> NDArray[Any]:
        """Return the actions that mean a look, or the nearest one that there is."""
        ...

    def look(self, choices: torch.Tensor) -> Look:
        """Turn what a network on the device chose into a look.

        Args:
            choices: (n, 2) locations, clipped to [0, 1], or (n,) int64 numbers of patches. With
                stop, (n, 3), whose last number stops where it is above 0, or the number after the
                last patch.
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
    """(row, col) in [-1, 1], from the top-left patch to the bottom-right one; clipped outside.

    With stop there is a third number, which ends the episode where it is above 0.
    """

    def __init__(self, device: torch.device, *, stop: bool = False) -> None:
        self.grid_size = self.lattice = None
        self.stop = stop
        self._device = device

    @property
    @override
    def space(self) -> spaces.Box:
        return spaces.Box(-1.0, 1.0, (2 + self.stop,), np.float32)

    @override
    def decode(self, actions: Any, count: int) -> Look:
        array, size = np.asarray(actions), 2 + self.stop
        if array.shape != (count, size) or array.dtype.kind not in "fiu":
            names = "(row, col, stop)" if self.stop else "(row, col)"
            raise ValueError(
                f"expected {count} {names} actions in [-1, 1], numbers of shape ({count}, {size}), "
                f"got shape {array.shape} of {array.dtype}"
            )
        bad = np.flatnonzero(np.isnan(array).any(axis=1))
        if bad.size:
            raise ValueError(
                f"actions must not be NaN, got {array[bad[0]]} in episode {bad[0]} and "
                f"{len(bad)} of {count} in all"
            )
        return self.to_look(_on(self._device, array.astype(np.float32)))

    @override
    def to_look(self, actions: torch.Tensor) -> Look:
        return Look(action_to_location(actions[:, :2]), self._stops(actions))

    @override
    def encode(self, look: Look) -> NDArray[np.float32]:
        actions: NDArray[np.float32] = location_to_action(look.locations).cpu().numpy()
        if not self.stop:
            return actions
        ends = np.zeros(len(actions), np.bool_) if look.stop is None else look.stop.cpu().numpy()
        return np.column_stack([actions, np.where(ends, 1, -1).astype(np.float32)])

    @override
    def look(self, choices: torch.Tensor) -> Look:
        return Look(choices[:, :2].clamp(0, 1), self._stops(choices))

    def _stops(self, numbers: torch.Tensor) -> torch.Tensor | None:
        return numbers[:, 2] > 0 if self.stop else None


class GridActions(ActionCodec):
    """The number of a patch in a regular grid of n x n patches, row-major.

    With stop, the number after the last patch ends the episode.
    """

    lattice: Lattice

    def __init__(self, grid: Lattice, device: torch.device, *, stop: bool = False) -> None:
        self.grid_size, self.lattice, self.stop = len(grid.lines), grid, stop
        patches = grid.locations(device)
        # whoever stops looks nowhere, and could as well say the centre
        nowhere = torch.full((1, 2), 0.5, device=device)
        self._device = device
        self._locations = torch.cat([patches, nowhere]) if stop else patches

    @property
    @override
    def space(self) -> spaces.Discrete:
        return spaces.Discrete(len(self._locations))

    @override
    def decode(self, actions: Any, count: int) -> Look:
        array, choices = np.asarray(actions), len(self._locations)
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
        return self.to_look(_on(self._device, array.astype(np.int64)))

    @override
    def to_look(self, actions: torch.Tensor) -> Look:
        return self.look(actions)

    @override
    def encode(self, look: Look) -> NDArray[np.int64]:
        numbers = self.lattice.index(look.locations)
        if look.stop is not None:
            numbers = torch.where(look.stop, len(self.lattice), numbers)
        actions: NDArray[np.int64] = numbers.cpu().numpy()
        return actions

    @override
    def look(self, choices: torch.Tensor) -> Look:
        ends = choices == len(self.lattice) if self.stop else None
        return Look(self._locations[choices], ends)


def action_codec(
    grid_size: int | None,
    image_size: int,
    patch_size: int,
    device: torch.device,
    *,
    stop: bool = False,
) -> ActionCodec:
    """Return the codec for n x n patches, or for locations where `grid_size` is None."""
    if grid_size is None:
        return LocationActions(device, stop=stop)
    return GridActions(Lattice.grid(grid_size, image_size, patch_size), device, stop=stop)


def _on(device: torch.device, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
