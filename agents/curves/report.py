"""What the curves of `agents.curves` say: comparisons at equal accuracy, and plots."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agents.curves.measure import ANYTIME, BUDGETED, CONFIDENT, PLAIN, Point
from agents.reporting.plots import save, tidy

EARLY_EXITS = (BUDGETED, CONFIDENT)
STYLES = {
    CONFIDENT: ("GFNet, early exit at one confidence", "-"),
    BUDGETED: ("GFNet, early exit, the paper's budgets", "-"),
    ANYTIME: ("GFNet, same looks for all (anytime)", "o--"),
    PLAIN: ("plain network on the whole image", "s-"),
}
COSTS = {
    "multiply_adds": ("multiply-adds an image, millions", 1e6),
    "seconds": ("measured time an image, milliseconds", 1e-3),
}


def at_equal_accuracy(points: Sequence[Point], curve: str, cost: str) -> list[dict[str, float]]:
    """Compare GFNet with early exit to plain networks that are as often right.

    Args:
        points: see `measure_curves`.
        curve: `budgeted` or `confident`.
        cost: `multiply_adds` or `seconds`.

    Returns:
        For each accuracy that a plain network reaches and GFNet too: `accuracy`, `input_size` of
        the plain network, both costs, and `ratio`, GFNet's divided by the plain network's. GFNet's
        cost is interpolated between the curve's points, after leaving out those that cost more
        and are no better.
    """
    return [
        {
            "accuracy": plain.accuracy,
            "input_size": plain.setting,
            **_costs(plain=getattr(plain, cost), gfnet=gfnet),
        }
        for plain, gfnet in _interpolated(points, PLAIN, curve, cost)
    ]


def against_interpolated_plain(
    points: Sequence[Point], curve: str, cost: str
) -> list[dict[str, float]]:
    """Compare each point of GFNet to plain networks, interpolated between their sizes.

    As `at_equal_accuracy`, for each point whose accuracy lies within that of the plain networks,
    with its `setting` in the place of an input size.
    """
    return [
        {
            "accuracy": gfnet.accuracy,
            "setting": gfnet.setting,
            **_costs(plain=plain, gfnet=getattr(gfnet, cost)),
        }
        for gfnet, plain in _interpolated(points, curve, PLAIN, cost)
    ]


def _costs(plain: float, gfnet: float) -> dict[str, float]:
    return {"plain": plain, "gfnet": gfnet, "ratio": gfnet / plain}


def _interpolated(
    points: Sequence[Point], curve: str, other: str, cost: str
) -> Iterator[tuple[Point, float]]:
    """Yield each point of a curve, with what its accuracy costs on another that reaches it."""
    accuracy, spent = _frontier([point for point in points if point.curve == other], cost)
    for point in points:
        if point.curve == curve and accuracy[0] <= point.accuracy <= accuracy[-1]:
            yield point, float(np.interp(point.accuracy, accuracy, spent))


def _frontier(
    points: Sequence[Point], cost: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracies, rising, and the least cost that reaches each."""
    best: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (getattr(p, cost), -p.accuracy)):
        if not best or point.accuracy > best[-1][0]:
            best.append((point.accuracy, getattr(point, cost)))
    accuracy, spent = np.array(best).T
    return accuracy, spent


def summary(points: Sequence[Point]) -> dict[str, Any]:
    """Return points and comparisons, JSON-serialisable."""
    return {
        "points": [asdict(point) for point in points],
        "at_plain_accuracies": _compared(at_equal_accuracy, points),
        "at_gfnet_accuracies": _compared(against_interpolated_plain, points),
    }


def _compared(compare: Callable[..., Any], points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    return {curve: {cost: compare(points, curve, cost) for cost in COSTS} for curve in EARLY_EXITS}


def plot_curves(path: Path, points: Sequence[Point], cost: str, title: str) -> None:
    """Draw accuracy against one cost, a line a curve, as a PNG file."""
    label, unit = COSTS[cost]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve, (name, style) in STYLES.items():
        mine = [p for p in points if p.curve == curve]
        costs = [getattr(p, cost) / unit for p in mine]
        axes.plot(costs, [p.accuracy for p in mine], style, markersize=5, label=name)
        if curve == PLAIN:
            for point, x in zip(mine, costs, strict=True):
                axes.annotate(
                    f"{point.setting:.0f} px",
                    (x, point.accuracy),
                    textcoords="offset points",
                    xytext=(5, -11),
                    fontsize=8,
                )
    axes.set(title=title, xlabel=label, ylabel="accuracy")
    tidy(axes)
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)
