"""Plots of comparisons, as PNG files; drawn without pyplot, so that nothing global is touched."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from agents.reporting.comparison import Row
from gf_env import geometry
from gf_env.envs.rendering import FIRST_LOOK, PATCH_COLOURS
from gf_env.envs.task import Task
from gf_env.evaluation import Evaluation

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Those of Okabe and Ito (2008), which people with any colour vision tell apart, on white."""
MARKERS = "osD^vPX<>p*hd"

_ON_SCENES = tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in PATCH_COLOURS)
_RIGHT, _WRONG = ("#0072b2", "✓"), ("#b34e00", "✗")
_SIDE = 2.5
"""Inches that an episode takes."""


@dataclass(frozen=True)
class Episodes:
    """What there must be of an `Evaluation` to draw it; its fields are those of that.

    Without `looks`, all were taken.
    """

    correct: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    locations: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    looks: NDArray[np.int64] | None = None


def plot_accuracy(path: Path, rows: list[Row], title: str) -> None:
    """Draw accuracy after each look, one line a policy."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    styles = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False)
    ordered = sorted(rows, key=lambda row: -row.accuracy[-1])
    for row, (colour, marker) in zip(ordered, styles, strict=False):
        looks = range(1, len(row.accuracy) + 1)
        axes.plot(looks, row.accuracy, color=colour, marker=marker, markersize=5, label=row.name)
    axes.set(title=title, xlabel="looks (1 is the glance)", ylabel="accuracy", xticks=list(looks))
    tidy(axes)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)


def draw_episodes(
    path: Path, task: Task, evaluations: Mapping[str, Evaluation | Episodes], images: int = 4
) -> None:
    """Draw where policies looked, one row a policy and one column an image.

    Args:
        path: the file.
        task: of the evaluations.
        evaluations: by the policies' names, all of the same images.
        images: how many, the first of those that are wrong after the glance.
    """
    first = next(iter(evaluations.values()))
    hard = np.flatnonzero(~first.correct[:, 0])
    chosen = (hard if len(hard) else np.arange(len(first.labels)))[:images]
    size = (_SIDE * len(chosen), _SIDE * 1.12 * len(evaluations))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(evaluations), len(chosen), squeeze=False)
    scenes = task.dataset.images(first.indices[chosen])
    for line, (name, evaluation) in zip(grid, evaluations.items(), strict=True):
        for axes, number, scene in zip(line, chosen, scenes, strict=True):
            _draw_episode(axes, task, evaluation, number, scene)
        line[0].set_ylabel(name)
    figure.suptitle("class: its probability after the glance → at the end", fontsize=11)
    save(figure, path)


def _draw_episode(
    axes: Axes, task: Task, evaluation: Evaluation | Episodes, number: int, scene: torch.Tensor
) -> None:
    """Draw an episode by its number: its scene, (C, S, S) uint8, the patches, and how it ended."""
    config = task.network.config
    axes.imshow(scene.permute(1, 2, 0).numpy(), cmap="gray")
    axes.set(xticks=[], yticks=[])
    taken = None if evaluation.looks is None else int(evaluation.looks[number]) - 1
    locations = torch.from_numpy(evaluation.locations[number, :taken])
    corners = geometry.corners(locations, config.image_size, config.patch_size)
    for look, corner in enumerate(corners.tolist(), start=FIRST_LOOK):
        _draw_patch(axes, corner, config.patch_size, look)
    before, after = evaluation.confidence[number, [0, -1]]
    colour, sign = _RIGHT if evaluation.correct[number, -1] else _WRONG
    name = config.classes[evaluation.labels[number]]
    axes.set_title(f"{name}: {before:.2f} → {after:.2f} {sign}", fontsize=10, color=colour)


def _draw_patch(axes: Axes, corner: list[int], side: int, look: int) -> None:
    """Outline a patch so that others in the same place stay visible: thinner, number further on."""
    top, left = corner
    number = look - FIRST_LOOK
    colour = _ON_SCENES[number % len(_ON_SCENES)]
    width = max(1.0, 4.0 - number)
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=colour, lw=width))
    x = left + 1 + number * side / 4
    axes.text(x, top + 1, str(look), color=colour, va="top", weight="bold")


def tidy(axes: Axes) -> None:
    """Show a light grid, and no frame at the top and on the right."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, and the folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
