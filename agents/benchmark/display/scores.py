"""Scores of learners on each setting and over all, as bars: settings along, learners as colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agents.benchmark.analysis.report import Aggregate, Report
from agents.benchmark.analysis.statistics import Interval
from agents.benchmark.display.cells import percent
from agents.benchmark.display.style import Style, Styles, ends, plain, set_title
from agents.reporting.plots import tidy

_MOST = 10
"""Entries that are drawn, the best ones."""

_WIDTH = 0.84
"""Of the bars of a setting; settings are 1 apart."""

_LABELS_APART = 0.055
"""Of the height of the plot."""


def scores(report: Report, styles: Styles) -> Figure | None:
    """Draw the share of the way from random to the oracle on each setting and over all of them.

    Those that have learned are drawn; where there are none, rules.
    """
    there = [each for each in report.aggregates if any(each.gaps)]
    drawn = [each for each in there if each.kind not in ("rule", "bound")]
    drawn = (drawn or [each for each in there if each.kind == "rule"])[:_MOST]
    if not drawn:
        return None
    names = [*(setting.name for setting in report.settings), "all"]
    figure = Figure(figsize=(3.5 + 1.5 * len(names), 4.8), layout="constrained")
    axes = figure.add_subplot()
    for end in (0, 1):
        axes.axhline(end, color="#bbbbbb", linewidth=1, zorder=0)
    step = _WIDTH / len(drawn)
    lasts = []
    for number, each in enumerate(drawn):
        left = (number + 0.5) * step - _WIDTH / 2
        shown = [(left + x, gap) for x, gap in enumerate([*each.gaps, each.gap]) if gap is not None]
        for x, gap in shown:
            _draw_bar(axes, x, gap, styles[each.name], step)
        lasts.append((shown[-1][0], shown[-1][1].estimate))
    axes.set_xticks(range(len(names)), [plain(name) for name in names])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel(f"from {plain(report.random)} (0%) to {plain(report.oracle)} (100%)")
    axes.margins(y=0.1)
    axes.set_axisbelow(True)
    tidy(axes)
    _write_names(axes, drawn, lasts, styles, len(names) - 0.45)
    set_title(
        figure, plain(report.suite), "interquartile means, 95% stratified bootstrap intervals"
    )
    return figure


def _draw_bar(axes: Axes, x: float, gap: Interval, style: Style, width: float) -> None:
    axes.bar(x, gap.estimate, width=0.92 * width, color=style.colour)
    low, high = ends(gap)
    axes.plot((x, x), (low, high), color="#333333", linewidth=1.2)
    top = max(high, 0.0)
    axes.annotate(
        percent(gap).estimate,
        (x, top),
        (0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        rotation=90 if width < 0.2 else 0,
    )


def _write_names(
    axes: Axes,
    drawn: Sequence[Aggregate],
    points: Sequence[tuple[float, float]],
    styles: Styles,
    x: float,
) -> None:
    """Write each entry's name to the right of its last bar, with a line to the bar's top."""
    low, high = axes.get_ylim()
    apart = _LABELS_APART * (high - low)
    tops = np.array([max(y, 0.0) for _, y in points])
    order = np.argsort(-tops, kind="stable")
    # from the top one down, none nearer to the one above than they may be
    heights = np.minimum.accumulate(tops[order] + apart * np.arange(len(drawn)))
    heights = heights - apart * np.arange(len(drawn))
    heights += max(0.0, low + apart - heights[-1])
    for number, height in zip(order, heights, strict=True):
        colour = styles[drawn[number].name].colour
        axes.annotate(
            plain(drawn[number].name),
            (points[number][0], tops[number]),
            (x, height),
            va="center",
            fontsize=9,
            annotation_clip=False,
            arrowprops={
                **{"arrowstyle": "-", "color": colour, "linewidth": 0.8},
                **{"relpos": (0, 0.5), "shrinkB": 0},
            },
        )
