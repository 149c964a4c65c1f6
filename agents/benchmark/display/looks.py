"""Where policies look: maps of all their patches, and some episodes."""

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from agents.benchmark.analysis.rows import Collected
from agents.benchmark.display.style import plain, set_title
from agents.benchmark.results import ResultsError
from agents.benchmark.suite import Setting
from agents.reporting.plots import Episodes, draw_episodes
from gf_env import geometry
from gf_env.envs.make_task import make_task

_BINS = 24
"""About as many on a side of a map."""

_MAX_ROWS = 10
"""Of maps below each other; more entries go beside them."""

_SIDE = 1.15
"""Inches that a map takes."""


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
        many locations of a patch fall in each.
    """
    corners = geometry.corners(torch.from_numpy(np.asarray(locations)), image_size, patch_size)
    width = -(-image_size // _BINS)
    bins = -(-image_size // width)
    rows, cols = ((corners + patch_size / 2) // width).long().numpy().T
    counts = np.bincount(rows * bins + cols, minlength=bins * bins)
    return counts.reshape(bins, bins)


def heat_maps(setting: Setting, names: Sequence[str], found: Collected) -> Figure | None:
    """Draw how often the centres of patches are where, a row an entry and a column a look.

    Colours are on one scale in a row, by the square root of counts, so that rare locations show
    beside frequent ones. All seeds are taken together; entries without arrays are left out, and
    looks that were not taken.
    """
    config = setting.open_network().config
    maps = []
    for name in names:
        by_look = _locations_by_look(_episodes(found, setting, name))
        if by_look:
            size = config.image_size, config.patch_size
            maps.append((name, [centre_counts(each, *size) for each in by_look]))
    if not maps:
        return None
    blocks = -(-len(maps) // _MAX_ROWS)
    rows, looks = -(-len(maps) // blocks), max(len(counts) for _, counts in maps)
    inches = (blocks * (1.6 + _SIDE * looks), 0.8 + _SIDE * rows)
    figure = Figure(figsize=inches, layout="constrained")
    for number, part in enumerate(figure.subfigures(1, blocks, squeeze=False)[0]):
        _draw_maps(part, maps[number * rows : (number + 1) * rows], (rows, looks))
    what = "centres of patches; the brighter the more, on one scale in a row"
    set_title(figure, setting.name, what)
    return figure


def _locations_by_look(seeds: Sequence[Episodes]) -> list[NDArray[np.float32]]:
    """Return for each look after the glance (m, 2) float32, where those went that took it."""
    if not seeds:
        return []
    locations = np.concatenate([each.locations for each in seeds])  # (seeds * n, T - 1, 2)
    most = locations.shape[1] + 1
    looks = np.concatenate(
        [np.full(len(each.labels), most) if each.looks is None else each.looks for each in seeds]
    )
    return [locations[looks > look, look - 1] for look in range(1, most)]


def _episodes(
    found: Collected, setting: Setting, name: str, seeds: int | None = None
) -> list[Episodes]:
    """Return an entry's episodes, an item for each of the first seeds.

    Seeds whose arrays cannot be read are left out; the report says so.
    """
    episodes = []
    for row in found.of(setting, name)[:seeds]:
        with suppress(ResultsError):
            episodes.append(Episodes(**found.folder.arrays(row)))
    return episodes


def _draw_maps(
    part: SubFigure, maps: Sequence[tuple[str, list[NDArray[np.int64]]]], shape: tuple[int, int]
) -> None:
    """Draw the maps of some entries; rows that are left over stay empty."""
    grid = part.subplots(*shape, squeeze=False)
    for number, axes in enumerate(grid[0], 2):
        axes.set_title(f"look {number}", fontsize=9)
    for axes in grid[len(maps) :].flat:
        axes.set_axis_off()
    for line, (name, looks) in zip(grid, maps, strict=False):
        most = max(1, *(counts.max() for counts in looks))  # nobody may have looked
        scale = PowerNorm(0.5, vmin=0, vmax=most)
        for axes, counts in zip(line, looks, strict=False):
            axes.imshow(counts, cmap="magma", norm=scale)
            axes.set(xticks=[], yticks=[])
        for axes in line[len(looks) :]:  # of an entry whose episodes are shorter
            axes.set_axis_off()
        wrapped = "\n".join(textwrap.wrap(plain(name), 18))
        line[0].set_ylabel(wrapped, rotation=0, ha="right", va="center", fontsize=9)


def draw_some_episodes(
    path: Path, setting: Setting, names: Sequence[str], found: Collected
) -> bool:
    """Draw the same episodes of some entries, of the first seed of each.

    Entries without arrays are left out; returns whether there was something to draw.
    """
    first = {plain(name): _episodes(found, setting, name, seeds=1) for name in names}
    drawn = {name: episodes[0] for name, episodes in first.items() if episodes}
    if drawn:
        draw_episodes(path, make_task(**setting.task_arguments(setting.split)), drawn)
    return bool(drawn)
