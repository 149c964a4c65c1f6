"""How entries look in every plot of a benchmark: colour by what learns, grey for the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from agents.benchmark.suite import Entry

Dashes = Literal["-", "--", ":", "-."] | tuple[float, tuple[int, ...]]
"""As matplotlib's `linestyle`."""

_MARKERS = "osD^vPX<>p*hd"
_ROUNDS: tuple[Dashes, ...] = ("-", "--", ":", "-.")
_DASHES: tuple[Dashes, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
_GREYS = ("#555555", "#999999", "#777777", "#b5b5b5")
_BOUND = "#000000"

LINE_WIDTH = 1.4
"""Of lines in plots, in points."""


@dataclass(frozen=True)
class Style:
    """How an entry is drawn.

    Attributes:
        colour: of line and marker; those that learn share them once there are no more.
        marker: of points.
        dashes: of lines.
    """

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
    counts: Counter[str] = Counter()
    colours = [to_hex(each) for each in matplotlib.colormaps["tab10"].colors]  # type: ignore[attr-defined]
    del colours[7]  # grey
    for entry in entries:
        group = entry.kind if entry.kind in ("rule", "bound") else "learns"
        number = counts[group]
        counts[group] += 1
        if group == "learns":
            rounds, colour = divmod(number, len(colours))
            marker = _MARKERS[rounds % len(_MARKERS)]
            chosen[entry.name] = Style(colours[colour], marker, _ROUNDS[rounds % len(_ROUNDS)])
            continue
        grey = _BOUND if group == "bound" else _GREYS[number % len(_GREYS)]
        marker = _MARKERS[(number + 1) % len(_MARKERS)]
        chosen[entry.name] = Style(grey, marker, _DASHES[number % len(_DASHES)])
    return chosen


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter."""
    return name.replace("$", r"\$")


def set_title(figure: Figure, setting: str, what: str) -> None:
    """Write above a figure which setting it is of, and what it shows."""
    figure.suptitle(f"{plain(setting)}: {what}", fontsize=11)
