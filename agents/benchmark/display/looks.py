"""Where policies look: maps of all their patches, and some episodes."""

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.benchmark.analysis.rows import Collected
from agents.benchmark.display.style import plain, set_title
from agents.benchmark.results import ResultsError
from agents.benchmark.suite import Setting
from agents.reporting.plots import Episodes, draw_episodes
from gf_env import geometry
from gf_env.envs.make_task import make_task
from gf_env.envs.rendering import FIRST_LOOK

_BINS = 24
"""About as many on a side of a map."""

_SIDE = 1.5
"""Inches that a map takes at most."""

_WIDTH = 9.0
"""Inches of a picture, about a page's width, so that words in it can be read there."""

_NAMES = 1.7
"""Of these inches, for names."""


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
    looks = max(len(counts) for _, counts in maps)
    side = min(_SIDE, (_WIDTH - _NAMES) / looks)
    inches = (max(_NAMES + side * looks, 0.6 * _WIDTH), 0.8 + max(side, 0.6) * len(maps))
    figure = Figure(figsize=inches, layout="constrained")
    _draw_maps(figure, maps, looks)
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
    figure: Figure, maps: Sequence[tuple[str, list[NDArray[np.int64]]]], looks: int
) -> None:
    """Draw the maps of some entries, which have so many looks after the glance at most."""
    grid = figure.subplots(len(maps), looks, squeeze=False)
    for number, axes in enumerate(grid[0], FIRST_LOOK):
        axes.set_title(f"look {number}", fontsize=9)
    for line, (name, own) in zip(grid, maps, strict=True):
        most = max(1, *(counts.max() for counts in own))  # nobody may have looked
        scale = PowerNorm(0.5, vmin=0, vmax=most)
        for axes, counts in zip(line, own, strict=False):
            axes.imshow(counts, cmap="magma", norm=scale)
            axes.set(xticks=[], yticks=[])
        for axes in line[len(own) :]:  # of an entry whose episodes are shorter
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
