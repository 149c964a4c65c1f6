"""What the curves of `agents.curves` say, as JSON, tables and plots."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from agents.curves.equal_accuracy import Comparison, plain_cost
from agents.curves.measure import ANYTIME, BUDGETED, CONFIDENT, PLAIN, Point
from agents.curves.pairs import MeasuredPair, ratio_over_pairs
from agents.reporting.plots import save, tidy

EARLY_EXITS = (CONFIDENT, BUDGETED)
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


@dataclasses.dataclass(frozen=True)
class Timed:
    """Points whose time was measured.

    Attributes:
        batch_size: images at a time.
        threads: of the CPU.
        points: what was timed.
        seconds: for an image, of each point.
    """

    batch_size: int
    threads: int
    points: Sequence[Point]
    seconds: Sequence[float]

    def of(self, point: Point) -> float:
        """Return the seconds of a point."""
        return self.seconds[list(self.points).index(point)]

    def compared(self, comparisons: Sequence[Comparison]) -> list[dict[str, float]]:
        """Return GFNet's time beside that of plain networks that are as often right."""
        plain = [each for each in self.points if each.curve == PLAIN]
        costs = {each.setting: self.of(each) for each in plain}
        rows = []
        for each in comparisons:
            expected = plain_cost(plain, costs, each.point)
            assert expected is not None  # it was found by the same accuracies
            seconds = self.of(each.point)
            rows.append(
                {
                    "wanted": each.wanted,
                    "seconds": seconds,
                    "plain": expected,
                    "ratio": seconds / expected,
                }
            )
        return rows


def points_with_time(timed: Timed) -> list[dict[str, Any]]:
    """Return points and their seconds, JSON-serialisable, without thresholds."""
    rows = []
    for point, seconds in zip(timed.points, timed.seconds, strict=True):
        row = dataclasses.asdict(point)
        del row["thresholds"]
        rows.append({**row, "seconds": seconds})
    return rows


def pair_report(pair: MeasuredPair) -> dict[str, Any]:
    """Return a pair's accuracies and comparisons by part of the test images."""
    return {
        part: {
            "accuracy": pair.accuracy[part],
            **{curve: _rows(pair.comparisons(part, curve)) for curve in EARLY_EXITS},
        }
        for part in pair.points
    }


def pairs_report(pairs: Sequence[MeasuredPair]) -> dict[str, Any]:
    """Return the mean ratio over pairs, by part of the test images, curve and accuracy."""
    return {
        part: {
            curve: [
                {"wanted": wanted, **dataclasses.asdict(interval)}
                for wanted, interval in ratio_over_pairs(pairs, part, curve).items()
            ]
            for curve in EARLY_EXITS
        }
        for part in pairs[0].points
    }


def _rows(comparisons: Sequence[Comparison]) -> list[dict[str, float]]:
    return [
        {
            "wanted": each.wanted,
            "setting": each.point.setting,
            "accuracy": each.point.accuracy,
            "looks": each.point.looks,
            "multiply_adds": each.point.multiply_adds,
            "plain": each.plain,
            "ratio": each.ratio,
        }
        for each in comparisons
    ]


def comparison_table(
    curve: str,
    comparisons: Sequence[Comparison],
    times: Mapping[str, Sequence[Mapping[str, float]]],
) -> Table:
    """Return a table of comparisons, with the ratios of measured times by what they are of."""
    table = Table(title=f"{STYLES[curve][0]}, at equal accuracy")
    for column in ("accuracy", "looks", "multiply-adds", "plain", "ratio", *times):
        table.add_column(column, justify="right")
    for number, each in enumerate(comparisons):
        table.add_row(
            f"{each.point.accuracy:.3f}",
            f"{each.point.looks:.2f}",
            f"{each.point.multiply_adds / 1e6:.1f}M",
            f"{each.plain / 1e6:.1f}M",
            f"{each.ratio:.2f}",
            *(f"{rows[number]['ratio']:.2f}" for rows in times.values()),
        )
    return table


def plot_curves(path: Path, timed: Timed, cost: str, title: str) -> None:
    """Draw accuracy against one of `COSTS`, a line a curve, as a PNG file."""
    label, unit = COSTS[cost]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    rows = points_with_time(timed)
    for curve, (name, style) in STYLES.items():
        mine = [row for row in rows if row["curve"] == curve]
        costs = [row[cost] / unit for row in mine]
        axes.plot(costs, [row["accuracy"] for row in mine], style, markersize=5, label=name)
        if curve == PLAIN:
            for row, x in zip(mine, costs, strict=True):
                axes.annotate(
                    f"{row['setting']:.0f} px",
                    (x, row["accuracy"]),
                    textcoords="offset points",
                    xytext=(5, -11),
                    fontsize=8,
                )
    axes.set(title=title, xlabel=label, ylabel="accuracy")
    tidy(axes)
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)
