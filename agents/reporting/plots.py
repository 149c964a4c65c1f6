"""Figures of comparisons, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from agents.reporting.comparison import Row
from gf_env import geometry
from gf_env.envs.task import Task

_COLOURS = ("#ffb000", "#56b4e9", "#dc5aa0", "#5adc78")


class Looks(Protocol):
    """What there must be of an `Evaluation` to draw it."""

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(n, T), probability of the true class after each look."""
        ...

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n, T)."""
        ...

    @property
    def locations(self) -> NDArray[np.float32]:
        """(n, T - 1, 2) in [0, 1], (row, col)."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,)."""
        ...

    @property
    def indices(self) -> NDArray[np.int64]:
        """(n,), which images of the split."""
        ...


def plot_accuracy(path: Path, rows: list[Row], title: str) -> None:
    """Draw accuracy after each look, one line a policy."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for row in sorted(rows, key=lambda row: -row.accuracy[-1]):
        looks = range(1, len(row.accuracy) + 1)
        axes.plot(looks, row.accuracy, marker="o", markersize=4, label=row.name)
    axes.set(title=title, xlabel="looks (1 is the glance)", ylabel="accuracy", xticks=list(looks))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)


def draw_episodes(
    path: Path, task: Task, evaluations: Mapping[str, Looks], images: int = 4
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
    size = 2.5
    figure = Figure(
        figsize=(size * len(chosen), size * 1.12 * len(evaluations)), layout="constrained"
    )
    grid = figure.subplots(len(evaluations), len(chosen), squeeze=False)
    scenes = task.dataset.images(first.indices[chosen])
    config = task.network.config
    for line, (name, evaluation) in zip(grid, evaluations.items(), strict=True):
        for axes, row, scene in zip(line, chosen, scenes, strict=True):
            axes.imshow(scene.permute(1, 2, 0).numpy(), cmap="gray")
            axes.set(xticks=[], yticks=[])
            corners = geometry.corners(
                torch.from_numpy(evaluation.locations[row]), config.image_size, config.patch_size
            )
            for number, corner in enumerate(corners.tolist()):
                _draw_patch(axes, corner, config.patch_size, number)
            before, after = evaluation.confidence[row, [0, -1]]
            right = evaluation.correct[row, -1]
            axes.set_title(
                f"{config.classes[evaluation.labels[row]]}: {before:.2f} → {after:.2f}",
                fontsize=10,
                color="#22784a" if right else "#b03030",
            )
        line[0].set_ylabel(name)
    figure.suptitle("class: its probability after the glance → at the end", fontsize=11)
    save(figure, path)


def _draw_patch(axes: Axes, corner: list[int], side: int, number: int) -> None:
    """Outline a patch so that others in the same place stay visible: thinner, number further on."""
    top, left = corner
    colour = _COLOURS[number % len(_COLOURS)]
    width = max(1.0, 4.0 - number)
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=colour, lw=width))
    place = left + 1 + number * side / 4
    axes.text(place, top + 1, str(number + 1), color=colour, va="top", weight="bold")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, and the folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
