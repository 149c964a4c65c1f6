"""How entries look in every picture of a benchmark: colour by what learns, grey for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from agents.benchmark.suite import Entry

Dashes = Literal["-", "--", ":", "-."] | tuple[float, tuple[int, ...]]
"""As matplotlib's `linestyle`."""

_MARKERS = "osD^vPX<>p*hd"
_ROUNDS: tuple[Dashes, ...] = ("-", "--", ":", "-.")
_DASHES: tuple[Dashes, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
_GREYS = ("#555555", "#999999", "#777777", "#b5b5b5")
_BOUND = "#000000"


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


def styles(entries: Iterable[Entry]) -> dict[str, Style]:
    """Return a style for each entry by name, the same in all pictures of a suite."""
    made: dict[str, Style] = {}
    counts = {"learns": 0, "rule": 0, "bound": 0}
    colours = [to_hex(each) for each in matplotlib.colormaps["tab10"].colors]  # type: ignore[attr-defined]
    del colours[7]  # grey
    for entry in entries:
        group = entry.kind if entry.kind in counts else "learns"
        number = counts[group]
        counts[group] += 1
        if group == "learns":
            rounds, place = divmod(number, len(colours))
            marker = _MARKERS[rounds % len(_MARKERS)]
            made[entry.name] = Style(colours[place], marker, _ROUNDS[rounds % len(_ROUNDS)])
            continue
        grey = _BOUND if group == "bound" else _GREYS[number % len(_GREYS)]
        marker = _MARKERS[(number + 1) % len(_MARKERS)]
        made[entry.name] = Style(grey, marker, _DASHES[number % len(_DASHES)])
    return made


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter."""
    return name.replace("$", r"\$")


def tidy(axes: Axes) -> None:
    """Take away what does not show data."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
