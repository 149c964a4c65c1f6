"""How entries look in every plot of a benchmark: colour by what learns, grey for the rest."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from agents.benchmark.analysis.statistics import Interval
from agents.benchmark.suite import Entry
from agents.reporting.plots import COLOURS, MARKERS

Dashes = Literal["-", "--", ":", "-."] | tuple[float, tuple[int, ...]]
"""As matplotlib's `linestyle`."""

MOST_LINES = 10
"""In one panel."""

_ROUNDS: tuple[Dashes, ...] = ("-", "--", ":", "-.")
_DASHES: tuple[Dashes, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
_GREYS = ("#555555", "#999999", "#777777", "#b5b5b5")
_BOUND = "#000000"

LINE_WIDTH = 1.4
"""Of lines in plots, in points."""


@dataclass(frozen=True)
class Style:
    """How an entry is drawn; those that learn share colours, not dashes, once there are no more."""

    colour: str
    marker: str
    dashes: Dashes

    @property
    def line(self) -> dict[str, Any]:
        """What matplotlib's lines are made with."""
        return {"color": self.colour, "linestyle": self.dashes}

    def draw_band(self, axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike) -> None:
        """Fill what lies between two lines."""
        axes.fill_between(x, low, high, color=self.colour, alpha=0.15, linewidth=0)


Styles = Mapping[str, Style]
"""Styles by the names of entries."""


def choose_styles(entries: Iterable[Entry]) -> Styles:
    """Return a style for each entry, the same in all plots of a suite."""
    chosen: dict[str, Style] = {}
    numbers: dict[str, Iterator[int]] = defaultdict(itertools.count)
    for entry in entries:
        group = entry.kind if entry.kind in ("rule", "bound") else "learns"
        number = next(numbers[group])
        if group == "learns":
            rounds, place = divmod(number, len(COLOURS))
            colour, dashes = COLOURS[place], _ROUNDS[rounds % len(_ROUNDS)]
        else:
            colour = _BOUND if group == "bound" else _GREYS[number % len(_GREYS)]
            dashes = _DASHES[number % len(_DASHES)]
        chosen[entry.name] = Style(colour, MARKERS[number % len(MARKERS)], dashes)
    return chosen


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter."""
    return name.replace("$", r"\$")


def ends(interval: Interval) -> tuple[float, float]:
    """Return an interval's ends; its estimate twice where there are none."""
    if interval.low is None or interval.high is None:
        return interval.estimate, interval.estimate
    return interval.low, interval.high


def set_title(figure: Figure, setting: str, what: str) -> None:
    """Write above a figure which setting it is of, and what it shows."""
    figure.suptitle(f"{plain(setting)}: {what}", fontsize=11, wrap=True)
