"""Learning curves of a benchmark: return and accuracy of training episodes, over seeds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from agents.benchmark.analysis.rows import Collected
from agents.benchmark.analysis.statistics import interquartile_mean
from agents.benchmark.display.style import LINE_WIDTH, MOST_LINES, Style, Styles, plain, set_title
from agents.benchmark.results import Result
from agents.benchmark.suite import Setting
from agents.reporting.plots import tidy

_STEPS, _SECONDS, _RETURN, _ACCURACY = range(4)
"""Columns of `agents.benchmark.results.Training.curve`."""

_ACROSS = {_STEPS: "steps", _SECONDS: "seconds"}
_UP = {_RETURN: "return of training episodes", _ACCURACY: "accuracy of training episodes"}

_FEW_TIMES = 10
"""Trainings that differ in length by more than this are shown on a logarithmic axis."""

_MARKS = 8
"""On a curve, about."""


class Curve(NamedTuple):
    """Some seeds' curves on a common grid.

    At steps or seconds `x`, rising, the IQM over seeds and the lowest and highest seed; all are
    (points,) float64.
    """

    x: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def common_curve(curves: Sequence[NDArray[np.float64]]) -> Curve | None:
    """Put seeds on a common grid: all their points in the stretch that each of them has.

    Between its points a seed is interpolated, beyond them it is not.

    Args:
        curves: for each seed (n, 2) float64, x and y; points with NaN are left out, and seeds that
            have no others.

    Returns:
        None where seeds have no stretch in common.
    """
    finite = [curve[np.isfinite(curve).all(axis=1)] for curve in curves]
    finite = [curve[np.argsort(curve[:, 0], kind="stable")] for curve in finite if len(curve)]
    if not finite:
        return None
    first = max(curve[0, 0] for curve in finite)
    last = min(curve[-1, 0] for curve in finite)
    if first > last:
        return None
    every = np.unique(np.concatenate([curve[:, 0] for curve in finite]))
    grid = every[(first <= every) & (every <= last)]
    values = np.stack([np.interp(grid, curve[:, 0], curve[:, 1]) for curve in finite])
    return Curve(grid, interquartile_mean(values, axis=0), values.min(axis=0), values.max(axis=0))


def learning_curves(
    setting: Setting, names: Sequence[str], found: Collected, styles: Styles
) -> Figure | None:
    """Draw return and accuracy of training episodes against steps and against seconds.

    Entries are in the legend in the order of their names; those that have not learned are left out.
    Where there are more than can be told apart in one panel, the others follow below.
    """
    trained = {name: _curves(found.of(setting, name)) for name in names}
    trained = {name: curves for name, curves in trained.items() if curves}
    if not trained:
        return None
    parts = -(-len(trained) // MOST_LINES)
    figure = Figure(figsize=(11, 7 * parts), layout="constrained")
    for number, part in enumerate(figure.subfigures(parts, 1, squeeze=False)[:, 0]):
        some = list(trained)[number * MOST_LINES : (number + 1) * MOST_LINES]
        _draw_part(part, {name: trained[name] for name in some}, styles)
    what = "interquartile means over seeds, bands from the lowest seed to the highest"
    set_title(figure, setting.name, what)
    return figure


def _draw_part(
    part: SubFigure, trained: Mapping[str, Sequence[NDArray[np.float64]]], styles: Styles
) -> None:
    """Draw the curves of some entries, by name, and their legend."""
    grid = part.subplots(len(_UP), len(_ACROSS), sharex="col", sharey="row")
    for line, (y, up) in zip(grid, _UP.items(), strict=True):
        for axes, (x, across) in zip(line, _ACROSS.items(), strict=True):
            for name, curves in trained.items():
                _draw(axes, common_curve([curve[:, [x, y]] for curve in curves]), styles[name])
            axes.tick_params(labelbottom=True, labelleft=True)
            axes.set(xlabel=across, ylabel=up)
            tidy(axes)
    for axes, x in zip(grid[0], _ACROSS, strict=True):
        ends = [curve[-1, x] for curves in trained.values() for curve in curves]
        if max(ends) > _FEW_TIMES * min(ends):
            axes.set_xscale("log")
    handles = [
        Line2D([], [], label=plain(name), marker=styles[name].marker, **styles[name].line)
        for name in trained
    ]
    part.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)


def _curves(rows: Sequence[Result]) -> list[NDArray[np.float64]]:
    """Return (points, 4) float64 for each seed that has learned; see `Training.curve`."""
    return [np.array(row.training.curve) for row in rows if row.training and row.training.curve]


def _draw(axes: Axes, curve: Curve | None, style: Style) -> None:
    if curve is None:
        return
    every = max(1, len(curve.x) // _MARKS)
    axes.plot(
        curve.x,
        curve.middle,
        marker=style.marker,
        markevery=every,
        markersize=4,
        linewidth=LINE_WIDTH,
        **style.line,
    )
    style.draw_band(axes, curve.x, curve.low, curve.high)
