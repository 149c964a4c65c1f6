"""Upper bounds: policies that see the true class and try every look before they take one."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.envs.actions import Look
from gf_env.envs.episodes import Episodes, readout
from gf_env.envs.task import Task
from gf_env.geometry import Lattice


class _Known(NamedTuple):
    """What has been encoded.

    Attributes:
        glimpse_source: what it was seen with.
        images: (m, ...), some of them encoded.
        places: (m,) int64, where in `pooled` each of the images is, -1 for those that are not.
        pooled: (k, choices, num_features).
    """

    glimpse_source: object
    images: torch.Tensor
    places: torch.Tensor
    pooled: torch.Tensor


class GridPatches:
    """The patches of a grid, each encoded once for an image.

    What they show stays the same all episode long, so what the last call encoded is kept.

    Args:
        grid_size: n for n x n patches.
        batch_size: patches that the encoder sees at a time.
    """

    def __init__(self, grid_size: int, batch_size: int) -> None:
        self._grid_size = grid_size
        self._batch_size = batch_size
        self._known: _Known | None = None

    def locations(self, task: Task) -> torch.Tensor:
        """Return where a step would look for each patch, (choices, 2) float32 in [0, 1]."""
        config = task.network.config
        grid = Lattice.grid(self._grid_size, config.image_size, config.patch_size)
        locations = grid.locations(task.device)
        lattice = task.rules.lattice
        return locations if lattice is None else lattice.snap(locations)

    def pooled(self, task: Task, state: Episodes) -> torch.Tensor:
        """Return the pooled vectors of all patches, (n, choices, num_features)."""
        every = torch.arange(len(state.images), device=task.device)
        rows = every if state.rows is None else state.rows
        known = self._known
        same = (
            known is not None
            and known.glimpse_source is task.glimpse_source
            and known.images is state.images
        )
        if known is None or not same or bool((known.places[rows] < 0).any()):
            wanted = torch.unique(rows)
            places = torch.full_like(every, -1)
            places[wanted] = torch.arange(len(wanted), device=task.device)
            pooled = self._encode(task, state.images[wanted])
            self._known = known = _Known(task.glimpse_source, state.images, places, pooled)
        return known.pooled[known.places[rows]]

    def _encode(self, task: Task, images: torch.Tensor) -> torch.Tensor:
        """Return the pooled vectors of all patches, (n, choices, num_features)."""
        locations = self.locations(task)
        choices = len(locations)
        rows = max(1, self._batch_size // choices)
        pooled = [
            task.glimpse_source.encode_patches(
                part.repeat_interleave(choices, dim=0), locations.repeat(len(part), 1)
            ).pooled.view(len(part), choices, -1)
            for part in torch.split(images, rows)
        ]
        return torch.cat(pooled)


class GreedyOracle:
    """The patch of a grid after which the true class is most probable; it looks one step ahead.

    A `PrivilegedPolicy`.

    Args:
        grid_size: n for n x n patches to choose from.
        batch_size: patches that the encoder sees at a time.
        stop: stop where no next look gains more than a look costs.

    Attributes:
        stop: as given.
    """

    def __init__(self, grid_size: int = 7, batch_size: int = 4096, *, stop: bool = False) -> None:
        self._patches = GridPatches(grid_size, batch_size)
        self.stop = stop

    @torch.no_grad()
    def choose_looks(
        self, task: Task, state: Episodes, indices: NDArray[np.int64] | None = None
    ) -> Look:
        """Return the best next looks of n episodes."""
        best, choice = self.confidences(task, state).max(1)
        enough = best - readout(state).confidence <= task.rules.look_cost
        return Look(self._patches.locations(task)[choice], enough if self.stop else None)

    @torch.no_grad()
    def confidences(self, task: Task, state: Episodes) -> torch.Tensor:
        """Return the true class's probability after each look that n episodes could take next.

        Args:
            task: what is played.
            state: its episodes.

        Returns:
            (n, choices) float32 in [0, 1], a column for each patch of the grid, row-major.
        """
        pooled = self._patches.pooled(task, state)
        count, choices = pooled.shape[:2]
        hidden = state.hidden.repeat_interleave(choices, dim=0)
        logits, _ = task.network.classifier(pooled.flatten(0, 1), hidden)
        labels = state.labels.repeat_interleave(choices)
        confidences: torch.Tensor = logits.softmax(1).gather(1, labels[:, None])
        return confidences.view(count, choices)
