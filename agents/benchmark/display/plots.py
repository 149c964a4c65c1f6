"""Plots of a report, as PNG files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agents.benchmark.analysis.report import Aggregate, EntryReport, Report, SettingReport
from agents.benchmark.analysis.rows import collect
from agents.benchmark.analysis.statistics import Interval
from agents.benchmark.display.cells import Cell, percent, share
from agents.benchmark.display.learning_curves import learning_curves
from agents.benchmark.display.looks import draw_some_episodes, heat_maps
from agents.benchmark.display.scores import scores
from agents.benchmark.display.stopping import stopping
from agents.benchmark.display.style import (
    LINE_WIDTH,
    MOST_LINES,
    Styles,
    choose_styles,
    ends,
    plain,
    set_title,
)
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Suite
from agents.reporting.plots import save, tidy

_ROW = 0.24
"""Inches that a line of a forest plot takes."""


def write_plots(report: Report, suite: Suite, folder: ResultsFolder, output: Path) -> list[Path]:
    """Write a report's plots, and return which; those with nothing to show are left out.

    Args:
        report: of the suite.
        suite: gives entries their styles.
        folder: that the report was made of.
        output: folder for `accuracy_per_look.png`, `gap.png`, `learning_curves.png`,
            `heat_maps.png`, `stopping.png` and `episodes.png`. Where there is more than one
            setting, each has a folder of its own in it, and beside these stand `gap.png` over all
            settings and `scores.png`.

    Raises:
        ResultsError: the rows are damaged.
    """
    found = collect(suite, folder)
    styles = choose_styles(suite.entries)
    several = len(suite.settings) > 1
    written: list[Path] = []

    def write(figure: Figure | None, path: Path) -> None:
        if figure is not None:
            save(figure, path)
            written.append(path)

    for number, (setting, each) in enumerate(zip(suite.settings, report.settings, strict=True), 1):
        place = output / _folder_name(number, setting.name) if several else output
        order = [line.name for line in each.lines]
        always = (report.random, report.reference, report.oracle)
        write(accuracy_per_look(each, styles, always), place / "accuracy_per_look.png")
        write(gap(report, each.lines, each.name, styles), place / "gap.png")
        write(learning_curves(setting, order, found, styles), place / "learning_curves.png")
        write(heat_maps(setting, order, found), place / "heat_maps.png")
        write(stopping(setting, each, found), place / "stopping.png")
        path = place / "episodes.png"
        if draw_some_episodes(path, setting, _few(report, each), found):
            written.append(path)
    write(gap(report, report.aggregates, "all settings", styles), output / "gap.png")
    write(scores(report, styles), output / "scores.png")
    return written


def accuracy_per_look(
    setting: SettingReport, styles: Styles, always: Sequence[str] = ()
) -> Figure | None:
    """Draw accuracy after each look beside that after the last one, which is the legend too.

    The latter is of all entries. Lines are of the best, and of those in `always`, as many as can
    be told apart.
    """
    lines = [line for line in setting.lines if line.accuracy]
    if not lines:
        return None
    figure = Figure(figsize=(11, max(4.5, 1.3 + _ROW * len(lines))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(5, 4))
    for line in reversed(_told_apart(lines, always)):
        style = styles[line.name]
        looks = range(1, len(line.accuracy) + 1)
        estimates = [each.estimate for each in line.accuracy]
        left.plot(
            looks, estimates, marker=style.marker, markersize=4, linewidth=LINE_WIDTH, **style.line
        )
        low, high = zip(*map(ends, line.accuracy), strict=True)
        style.draw_band(left, looks, low, high)
    left.set(xlabel="looks (1 is the glance)", ylabel="accuracy")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(left)
    rows = [(line.name, line.kind, line.accuracy[-1]) for line in lines]
    _forest(right, rows, styles, share)
    right.set_xlabel("accuracy after the last look")
    set_title(figure, setting.name, "interquartile means over seeds, 95% bootstrap intervals")
    return figure


def gap(
    report: Report, lines: Sequence[EntryReport | Aggregate], where: str, styles: Styles
) -> Figure | None:
    """Draw the share of the way from random to the oracle, a line an entry that has one."""
    rows = [(line.name, line.kind, line.gap) for line in lines if line.gap is not None]
    if not rows:
        return None
    figure = Figure(figsize=(9, 1.6 + _ROW * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for end in (0, 1):
        axes.axvline(end, color="#bbbbbb", linewidth=1, zorder=0)
    _forest(axes, rows, styles, percent)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel(f"share of the gap from {plain(report.random)} to {plain(report.oracle)}")
    set_title(figure, where, "interquartile means, 95% bootstrap intervals over seeds")
    return figure


def _told_apart(lines: Sequence[EntryReport], always: Sequence[str]) -> list[EntryReport]:
    """Return at most `MOST_LINES` lines in their order: those always drawn, and the first others.

    Rules stand behind what learns.
    """
    ranked = sorted(lines, key=lambda line: (line.name not in always, line.kind == "rule"))
    chosen = {line.name for line in ranked[:MOST_LINES]}
    return [line for line in lines if line.name in chosen]


def _forest(
    axes: Axes,
    rows: Sequence[tuple[str, str, Interval]],
    styles: Styles,
    as_cell: Callable[[Interval], Cell],
) -> None:
    """Draw entries' intervals below each other, the first on top, and write them beside it too.

    Rows are names and kinds of entries, and their intervals.
    """
    for y, (name, _, interval) in enumerate(rows):
        style = styles[name]
        axes.plot(ends(interval), (y, y), color=style.colour, linewidth=2.5, alpha=0.6)
        axes.plot(interval.estimate, y, color=style.colour, marker=style.marker, markersize=5)
        beside = axes.get_yaxis_transform()
        axes.text(1.01, y, as_cell(interval).text, transform=beside, va="center", fontsize=8)
    names = [plain(f"{name} ({kind})") for name, kind, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    tidy(axes)


def _few(report: Report, setting: SettingReport) -> list[str]:
    """Return whose episodes are drawn: random, reference, the best that sees no labels, oracle."""
    done = [line for line in setting.lines if line.accuracy]
    best = [line.name for line in done if line.kind != "bound"][:1]
    wanted = dict.fromkeys([report.random, report.reference, *best, report.oracle])
    return [name for name in wanted if name in {line.name for line in done}]


def _folder_name(number: int, name: str) -> str:
    """Return a name that any file system takes and no other setting has."""
    return f"{number}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
