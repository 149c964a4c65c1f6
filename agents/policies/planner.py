"""Scripted planners and their foils: policies that know where a scene's objects are.

A planner looks at what tells the label, in the order in which it is to be read; a foil leaves out
or turns round what a task is said to ask for, and shows what that costs.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import Located, located
from gf_env.envs.actions import Look
from gf_env.envs.episodes import Episodes
from gf_env.envs.task import Task

ORDERS: Mapping[str, Callable[[int, int], Sequence[int]]] = {
    "needed": lambda needed, count: range(needed),
    "needed-reversed": lambda needed, count: range(needed)[::-1],
    # of one object there is none but the first
    "without-first": lambda needed, count: range(min(1, count - 1), count),
    "first-only": lambda needed, count: range(1),
}
"""Numbers of objects, of how many tell the label (the first ones) and how many there are."""


class ObjectPolicy:
    """Looks at a scene's objects one after the other, and stays at the last.

    A `PrivilegedPolicy`. A look is the patch with the object in its middle, as far as the image
    reaches; on a grid it is the nearest one. Objects have the order that their data set says:
    signposts the sign, the digit that counts, then the other digits; other tasks the digits.

    Args:
        order: numbers of objects, each in [0, number of objects); or one of `ORDERS`: `needed`,
            those that tell the label; `needed-reversed`, the same from the last to the first;
            `without-first`, all but the first; `first-only`.

    Raises:
        ValueError: an unknown or empty order.
    """

    def __init__(self, order: str | Sequence[int] = "needed") -> None:
        if isinstance(order, str) and order not in ORDERS:
            raise ValueError(f"unknown order {order!r}; choose one of {list(ORDERS)}, or numbers")
        if not order:
            raise ValueError("an order needs one object or more, got none")
        self._order = order

    def choose_looks(self, task: Task, state: Episodes, indices: NDArray[np.int64]) -> Look:
        """Return looks at the next objects of n episodes.

        Raises:
            ValueError: a data set that does not say where objects are, or has fewer of them.
        """
        scenes = located(task.dataset)
        order = np.array(self._numbers(scenes))
        looks = state.step.cpu().numpy() - 1
        numbers = order[np.minimum(looks, len(order) - 1)]
        rows = np.arange(len(indices))
        corners = scenes.objects[indices][rows, numbers]  # (n, 2)
        sizes = np.array(scenes.content_sizes)[scenes.contents[indices][rows, numbers], None]
        config = task.network.config
        travel = config.image_size - config.patch_size
        corners = corners + (sizes - config.patch_size) // 2
        # half a pixel on, so that rounding does not start a patch one pixel too early
        shares = (corners.clip(0, travel) + 0.5) / max(travel, 1)
        locations = torch.from_numpy(shares.clip(0, 1).astype(np.float32)).to(task.device)
        lattice = task.actions.lattice
        return Look(locations if lattice is None else lattice.snap(locations))

    def _numbers(self, scenes: Located) -> Sequence[int]:
        if isinstance(self._order, str):
            return ORDERS[self._order](scenes.num_needed, scenes.num_objects)
        wrong = [number for number in self._order if not 0 <= number < scenes.num_objects]
        if wrong:
            raise ValueError(
                f"{scenes.name} has objects 0 to {scenes.num_objects - 1}, "
                f"but the order has {wrong}"
            )
        return self._order
