"""Learning curves of a benchmark, over seeds: of training episodes, and of validation images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from agents.benchmark.analysis.rows import Collected
from agents.benchmark.analysis.statistics import interquartile_mean
from agents.benchmark.display.style import LINE_WIDTH, MOST_LINES, Style, Styles, plain, set_title
from agents.benchmark.results import Result, Training
from agents.benchmark.suite import Setting
from agents.reporting.plots import tidy

_STEPS, _SECONDS, _RETURN, _ACCURACY = range(4)
"""Columns of the curves of an `agents.benchmark.results.Training`."""

_ACROSS = {_STEPS: "steps", _SECONDS: "seconds"}


class _Panel(NamedTuple):
    """What is drawn upwards: a column of one of a training's curves."""

    curve: str
    column: int
    label: str


_ALWAYS = (
    _Panel("curve", _RETURN, "return of training episodes"),
    _Panel("curve", _ACCURACY, "accuracy of training episodes"),
)
_WHERE_VALIDATED = _Panel("validation", _RETURN, "return on validation images")

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

    Below them is the return on validation images, where there is one. Entries are in the legend in
    the order of their names; those that have not learned are left out. Where there are more than
    can be told apart in one panel, the others follow below.
    """
    trained = {name: _trainings(found.of(setting, name)) for name in names}
    trained = {name: trainings for name, trainings in trained.items() if trainings}
    if not trained:
        return None
    validated = any(each.validation for trainings in trained.values() for each in trainings)
    panels = (*_ALWAYS, _WHERE_VALIDATED) if validated else _ALWAYS
    parts = -(-len(trained) // MOST_LINES)
    figure = Figure(figsize=(11, 3.5 * len(panels) * parts), layout="constrained")
    for number, part in enumerate(figure.subfigures(parts, 1, squeeze=False)[:, 0]):
        some = list(trained)[number * MOST_LINES : (number + 1) * MOST_LINES]
        _draw_part(part, panels, {name: trained[name] for name in some}, styles)
    what = "interquartile means over seeds, bands from the lowest seed to the highest"
    set_title(figure, setting.name, what)
    return figure


def _draw_part(
    part: SubFigure,
    panels: Sequence[_Panel],
    trained: Mapping[str, Sequence[Training]],
    styles: Styles,
) -> None:
    """Draw the curves of some entries, by name, and their legend."""
    grid = part.subplots(len(panels), len(_ACROSS), sharex="col", sharey="row")
    for line, panel in zip(grid, panels, strict=True):
        for axes, (x, across) in zip(line, _ACROSS.items(), strict=True):
            for name, trainings in trained.items():
                curves = [np.array(getattr(each, panel.curve)) for each in trainings]
                drawn = [curve[:, [x, panel.column]] for curve in curves if len(curve)]
                _draw(axes, common_curve(drawn), styles[name])
            axes.tick_params(labelbottom=True, labelleft=True)
            axes.set(xlabel=across, ylabel=panel.label)
            tidy(axes)
    for axes, x in zip(grid[0], _ACROSS, strict=True):
        ends = [each.curve[-1][x] for trainings in trained.values() for each in trainings]
        if max(ends) > _FEW_TIMES * min(ends):
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 250k
    handles = [
        Line2D([], [], label=plain(name), marker=styles[name].marker, **styles[name].line)
        for name in trained
    ]
    part.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)


def _trainings(rows: Sequence[Result]) -> list[Training]:
    """Return how each seed was trained, of those that have a curve."""
    return [row.training for row in rows if row.training and row.training.curve]


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
