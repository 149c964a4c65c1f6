"""A report as tables of text, whatever they are shown on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agents.benchmark.analysis.report import Aggregate, Line, Report, SettingReport
from agents.benchmark.analysis.statistics import Interval

TEXT_COLUMNS = ("policy", "kind")
"""Columns of words; the others are of figures."""


@dataclass(frozen=True)
class Cell:
    """A figure and its interval, as text; either may be empty."""

    figure: str = ""
    interval: str = ""

    @property
    def text(self) -> str:
        """Both."""
        return f"{self.figure} {self.interval}".rstrip()


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        title: what it is about.
        columns: headers; those of `TEXT_COLUMNS` come first.
        rows: of as many cells each.
        brief: columns whose intervals a narrow terminal leaves out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    brief: frozenset[str] = frozenset()


def text_tables(report: Report) -> list[TextTable]:
    """Return a report's tables: those of each setting, then those over all settings."""
    made = [table for each in report.settings for table in _setting_tables(report, each)]
    if report.aggregates:
        made.append(_aggregate_table(report))
    return made


def share(interval: Interval | None, digits: int = 3) -> Cell:
    """Return `.871` and `[.866, .876]`."""

    def short(value: float) -> str:
        rounded = round(value, digits) + 0.0  # no minus before nothing
        text = f"{rounded:.{digits}f}"
        return text.replace("0.", ".", 1) if abs(rounded) < 1 else text

    return _cell(interval, short)


def percent(interval: Interval | None) -> Cell:
    """Return `87%` and `[85, 89]`."""
    cell = _cell(interval, lambda value: f"{round(100 * value) + 0:d}")
    return Cell(f"{cell.figure}%", cell.interval) if cell.figure else cell


def _setting_tables(report: Report, setting: SettingReport) -> Iterator[TextTable]:
    where = setting.name
    if setting.images is not None:
        where += f", {setting.images:,} images"
    looks = max((len(line.accuracy) for line in setting.lines), default=0)
    names = [str(number) for number in range(1, looks + 1)]
    yield _table(
        f"{where}: accuracy after looks 1 (the glance) to {looks}"
        if looks
        else f"{where}: accuracy",
        (*TEXT_COLUMNS, "seeds", *names, "return", "gap"),
        [
            [
                *_called(line),
                Cell(str(len(line.seeds))),
                *_filled([share(each) for each in line.accuracy], looks),
                share(line.mean_return),
                percent(line.gap),
            ]
            for line in setting.lines
        ],
        brief=[*names[:-1], "return"],
    )
    yield _table(
        f"{where}: against {report.reference}, and sampled actions",
        (*TEXT_COLUMNS, "points more", "P(better)", "sampled: accuracy", "sampled: return"),
        [
            [
                *_called(line),
                _points(line.difference),
                share(line.improvement, digits=2),
                share(line.sampled_accuracy),
                share(line.sampled_return),
            ]
            for line in setting.lines
        ],
    )
    yield _table(
        f"{where}: cost",
        (*TEXT_COLUMNS, "area", "steps", "seconds", "steps/s"),
        [[*_called(line), share(line.budgeted_area), *_training(line)] for line in setting.lines],
    )

    yield _table(
        f"{where}: looks 3 to {looks} that follow a miss",
        (*TEXT_COLUMNS, "seen again", "put right"),
        [
            [*_called(line), percent(line.seen_again), percent(line.put_right)]
            for line in setting.lines
        ],
    )


def _aggregate_table(report: Report) -> TextTable:
    return _table(
        f"all {len(report.settings)} settings",
        (*TEXT_COLUMNS, "gap", f"P(better than {report.reference})"),
        [
            [*_called(each), percent(each.gap), share(each.improvement, digits=2)]
            for each in report.aggregates
        ],
    )


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], brief: Sequence[str] = ()
) -> TextTable:
    return TextTable(title, tuple(columns), tuple(map(tuple, rows)), frozenset(brief))


def _called(line: Line | Aggregate) -> list[Cell]:
    return [Cell(line.name), Cell(line.kind)]


def _training(line: Line) -> list[Cell]:
    cost = line.training
    if cost is None:
        return [Cell()] * 3
    return [Cell(f"{value:,.0f}") for value in (cost.steps, cost.seconds, cost.steps_per_second)]


def _filled(cells: list[Cell], count: int) -> list[Cell]:
    return cells + [Cell()] * (count - len(cells))


def _points(interval: Interval | None) -> Cell:
    """Return `+2.3` and `[+1.1, +3.4]`."""
    return _cell(interval, lambda value: f"{round(100 * value, 1) + 0.0:+.1f}")


def _cell(interval: Interval | None, text: Callable[[float], str]) -> Cell:
    if interval is None:
        return Cell()
    if interval.low is None or interval.high is None:
        return Cell(text(interval.estimate))
    return Cell(text(interval.estimate), f"[{text(interval.low)}, {text(interval.high)}]")
