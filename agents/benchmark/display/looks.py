"""Where policies look: maps of all their patches, and some episodes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from agents.benchmark.analysis.rows import Collected
from agents.benchmark.display.style import plain
from agents.benchmark.results import Result, ResultsError, ResultsFolder
from agents.benchmark.suite import Setting
from agents.registry.files import open_network
from agents.reporting.plots import draw_episodes
from gf_env import geometry
from gf_env.envs.make_task import make_task

_BINS = 24
"""About as many on a side of a map."""

_MAX_ROWS = 10
"""Of maps below each other; more entries go beside them."""

_SIDE = 1.15
"""Inches that a map takes."""


@dataclass(frozen=True)
class _Looks:
    """A run's arrays by name; see `ResultsFolder.arrays`."""

    correct: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    locations: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


def _readable(folder: ResultsFolder, rows: Sequence[Result]) -> list[_Looks]:
    """Return the arrays of those runs that have some; of the others the report tells."""
    looks = []
    for row in rows:
        try:
            looks.append(_Looks(**folder.arrays(row.key)))
        except ResultsError:
            continue
    return looks


def centre_counts(
    locations: NDArray[np.float32], image_size: int, patch_size: int
) -> NDArray[np.int64]:
    """Count in which part of the image the centres of patches are.

    Args:
        locations: (n, 2) float in [0, 1], (row, col).
        image_size: S.
        patch_size: P.

    Returns:
        (bins, bins) int64, rows from the top; each bin is ceil(S / 24) pixels wide, so that as
        many places of a patch fall in each.
    """
    corners = geometry.corners(torch.from_numpy(np.asarray(locations)), image_size, patch_size)
    width = -(-image_size // _BINS)
    bins = -(-image_size // width)
    rows, cols = ((corners + patch_size / 2) // width).long().numpy().T
    counts = np.bincount(rows * bins + cols, minlength=bins * bins)
    return counts.reshape(bins, bins)


def heat_maps(
    setting: Setting, names: Sequence[str], found: Collected, folder: ResultsFolder
) -> Figure | None:
    """Draw how often the centres of patches are where, a row an entry and a column a look.

    Colours are on one scale in a row, by the square root of counts, so that rare places show
    beside frequent ones.

    Args:
        setting: which.
        names: of entries, from the top; those of which there is nothing are left out.
        found: the rows.
        folder: has the arrays; all seeds are taken together.
    """
    config = open_network(setting.network).config
    maps = {}
    for name in names:
        runs = _readable(folder, found.done[setting.name, name])
        if runs:
            # (seeds * n, T - 1, 2)
            locations = np.concatenate([run.locations for run in runs])
            maps[name] = [
                centre_counts(each, config.image_size, config.patch_size)
                for each in locations.swapaxes(0, 1)
            ]
    if not maps:
        return None
    blocks = -(-len(maps) // _MAX_ROWS)
    rows, looks = -(-len(maps) // blocks), len(next(iter(maps.values())))
    figure = Figure(
        figsize=(blocks * (1.6 + _SIDE * looks), 0.8 + _SIDE * rows), layout="constrained"
    )
    parts = figure.subfigures(1, blocks, squeeze=False)[0]
    every = list(maps.items())
    for number, part in enumerate(parts):
        _draw_maps(part, every[number * rows : (number + 1) * rows], (rows, looks))
    figure.suptitle(
        f"{plain(setting.name)}: centres of patches; the brighter the more, on one scale in a row",
        fontsize=11,
    )
    return figure


def _draw_maps(
    part: SubFigure, maps: Sequence[tuple[str, list[NDArray[np.int64]]]], shape: tuple[int, int]
) -> None:
    """Draw the maps of some entries; rows that are left over stay empty."""
    grid = part.subplots(*shape, squeeze=False)
    for number, axes in enumerate(grid[0], 2):
        axes.set_title(f"look {number}", fontsize=9)
    for line in grid[len(maps) :]:
        for axes in line:
            axes.set_axis_off()
    for line, (name, of_looks) in zip(grid, maps, strict=False):
        scale = PowerNorm(0.5, vmin=0, vmax=max(counts.max() for counts in of_looks))
        for axes, counts in zip(line, of_looks, strict=True):
            axes.imshow(counts, cmap="magma", norm=scale)
            axes.set(xticks=[], yticks=[])
        wrapped = "\n".join(textwrap.wrap(plain(name), 18))
        line[0].set_ylabel(wrapped, rotation=0, ha="right", va="center", fontsize=9)


def draw_some_episodes(
    path: Path, setting: Setting, names: Sequence[str], found: Collected, folder: ResultsFolder
) -> bool:
    """Draw the same episodes of some entries, of the first seed of each.

    Args:
        path: the file.
        setting: which.
        names: of entries, from the top; those of which there is nothing are left out.
        found: the rows.
        folder: has the arrays.

    Returns:
        Whether there was something to draw.
    """
    looked = {name: _readable(folder, found.done[setting.name, name][:1]) for name in names}
    looks = {plain(name): runs[0] for name, runs in looked.items() if runs}
    if not looks:
        return False
    network = open_network(setting.network)
    task = make_task(network=network, dataset=setting.dataset, split=setting.split)
    draw_episodes(path, task, looks)
    return True
