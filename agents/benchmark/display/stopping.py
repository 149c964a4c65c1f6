"""Accuracy against mean multiply-adds: policies that stop, beside other ways to stop."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from agents.benchmark.analysis.accuracy_at_cost import (
    BUDGETS,
    CONFIDENCE,
    FIXED,
    Points,
    SeedPoints,
    accuracy_at,
    points_by_seed,
)
from agents.benchmark.analysis.report import CurvesReport, SettingReport
from agents.benchmark.analysis.rows import Collected
from agents.benchmark.display.cells import points
from agents.benchmark.display.style import LINE_WIDTH, Style, plain, set_title
from agents.benchmark.suite import Curves, Setting
from agents.reporting.plots import tidy

_LEARNED = Style("#0072b2", "o", "-")
_RIVALS: Mapping[str, Style] = {
    BUDGETS: Style("#d55e00", "", "--"),
    CONFIDENCE: Style("#009e73", "", "-."),
    FIXED: Style("#555555", "s", ":"),
}
_COSTS = 300
"""At which curves are drawn."""

_MILLION = 1e6


def stopping(setting: Setting, report: SettingReport, found: Collected) -> Figure | None:
    """Draw each comparison of the suite that has a finished seed, a row each.

    On the left accuracy against mean multiply-adds, on the right how much higher the learned curve
    is at equal cost. Lines are means over seeds of the curves that are compared.
    """
    drawn = []
    for curves, each in zip(found.suite.curves, report.curves, strict=True):
        seeds = points_by_seed(found, setting, curves)
        if seeds and each.rivals:
            drawn.append((curves, each, seeds))
    if not drawn:
        return None
    figure = Figure(figsize=(11, 0.5 + 5.0 * len(drawn)), layout="constrained")
    parts = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for part, (curves, each, seeds) in zip(parts, drawn, strict=True):
        _draw(part, curves, each, seeds)
    what = "accuracy at equal cost; means over seeds, bands from the lowest seed to the highest"
    set_title(figure, setting.name, what)
    return figure


def _draw(part: SubFigure, curves: Curves, report: CurvesReport, seeds: list[SeedPoints]) -> None:
    left, right = part.subplots(1, 2)
    _draw_accuracy(left, report, seeds)
    _draw_differences(right, report, seeds)
    for axes in (left, right):
        axes.set_xlabel("mean multiply-adds of an image, millions")
        tidy(axes)
    named = {f"{curves.name}, at prices of a look": _LEARNED}
    for name, area in zip(report.rivals, report.areas, strict=True):
        named[f"{name}; learned less these: {points(area).text} points"] = _RIVALS[name]
    handles = [
        Line2D([], [], label=plain(name), marker=style.marker, markersize=5, **style.line)
        for name, style in named.items()
    ]
    part.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def _draw_accuracy(axes: Axes, report: CurvesReport, seeds: list[SeedPoints]) -> None:
    for name in report.rivals:
        style, all_points = _RIVALS[name], [each.rivals[name] for each in seeds]
        costs = _common_costs(all_points)
        middle, _, _ = _over_seeds([accuracy_at(each, costs) for each in all_points])
        axes.plot(costs / _MILLION, middle, linewidth=LINE_WIDTH, **style.line)
        if style.marker:  # few points, the same of all seeds
            _scatter(axes, np.mean(all_points, axis=0), style)
    learned = [each.learned for each in seeds]
    costs = _common_costs(learned)
    middle, low, high = _over_seeds([accuracy_at(each, costs) for each in learned])
    axes.plot(costs / _MILLION, middle, linewidth=1.5 * LINE_WIDTH, **_LEARNED.line)
    _LEARNED.draw_band(axes, costs / _MILLION, low, high)
    means = np.mean(learned, axis=0)
    _scatter(axes, means, _LEARNED)
    for number, (price, (cost, accuracy)) in enumerate(zip(report.prices, means, strict=True)):
        # on either side in turn, as points that follow each other may be close
        above = number % 2 == 0
        axes.annotate(
            f"{price.look_cost:g}",
            (cost / _MILLION, accuracy),
            (-4, 5) if above else (3, -11),
            textcoords="offset points",
            ha="right" if above else "left",
            fontsize=8,
            color=_LEARNED.colour,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )
    axes.set_ylabel("accuracy")
    axes.margins(y=0.08)


def _draw_differences(axes: Axes, report: CurvesReport, seeds: list[SeedPoints]) -> None:
    costs = _common_costs([each.learned for each in seeds])
    axes.axhline(0, color="#bbbbbb", linewidth=1, zorder=0)
    for name in report.rivals:
        style = _RIVALS[name]
        more = [
            100 * (accuracy_at(each.learned, costs) - accuracy_at(each.rivals[name], costs))
            for each in seeds
        ]
        middle, low, high = _over_seeds(more)
        axes.plot(costs / _MILLION, middle, linewidth=LINE_WIDTH, **style.line)
        style.draw_band(axes, costs / _MILLION, low, high)
    axes.set_ylabel("learned less the other, points of accuracy")


def _common_costs(seeds: Sequence[Points]) -> NDArray[np.float64]:
    """Return (k,) float64, costs in the range that all seeds cover; one where there is none."""
    low = max(each[:, 0].min() for each in seeds)
    high = min(each[:, 0].max() for each in seeds)
    return np.linspace(low, high, _COSTS) if high > low else np.array([low])


def _over_seeds(values: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
    """Return the mean, the lowest and the highest of seeds, each (k,) float64."""
    return np.mean(values, axis=0), np.min(values, axis=0), np.max(values, axis=0)


def _scatter(axes: Axes, at: Points, style: Style) -> None:
    axes.plot(at[:, 0] / _MILLION, at[:, 1], style.marker, color=style.colour, markersize=5)
