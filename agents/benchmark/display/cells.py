"""A report as tables of text, whatever they are shown on: each a list of columns."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from agents.benchmark.analysis.report import CurvesReport, PriceReport, Report, SettingReport
from agents.benchmark.analysis.statistics import Interval


class Cell(NamedTuple):
    """An estimate and its interval, as text; either may be empty."""

    estimate: str = ""
    interval: str = ""

    @property
    def text(self) -> str:
        """Both."""
        return f"{self.estimate} {self.interval}".rstrip()


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its header.
        cell: makes its cell of an `EntryReport` or an `Aggregate`.
        is_text: its cells are words; those of others are numbers.
        brief: a narrow terminal leaves out its intervals.
    """

    name: str
    cell: Callable[[Any], Cell]
    is_text: bool = False
    brief: bool = False


class TextTable(NamedTuple):
    """A table as text."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def share(interval: Interval | None, digits: int = 3, sign: str = "-") -> Cell:
    """Return `.871` and `[.866, .876]`; with `+` as sign, what is above 0 has one too."""

    def short(value: float) -> str:
        rounded = round(value, digits) + 0.0  # no minus before nothing
        text = f"{rounded:{sign}.{digits}f}"
        return text.replace("0.", ".", 1) if abs(rounded) < 1 else text

    return _cell(interval, short)


def percent(interval: Interval | None) -> Cell:
    """Return `87%` and `[85, 89]`."""
    cell = _cell(interval, lambda value: f"{round(100 * value) + 0:d}")
    return Cell(f"{cell.estimate}%", cell.interval) if cell.estimate else cell


def points(interval: Interval | None) -> Cell:
    """Return `+2.3` and `[+1.1, +3.4]`."""
    return _cell(interval, lambda value: f"{round(100 * value, 1) + 0.0:+.1f}")


def millions(interval: Interval | None) -> Cell:
    """Return `8.31` and `[8.20, 8.44]`."""
    return _cell(interval, lambda value: f"{value / 1e6:,.2f}")


def _cell(interval: Interval | None, text: Callable[[float], str]) -> Cell:
    if interval is None:
        return Cell()
    if interval.low is None or interval.high is None:
        return Cell(text(interval.estimate))
    return Cell(text(interval.estimate), f"[{text(interval.low)}, {text(interval.high)}]")


def _count(line: Any, attribute: str) -> Cell:
    """Return what learning took."""
    return Cell(f"{getattr(line.training, attribute):,.0f}" if line.training else "")


def _at_plateau(line: Any) -> Cell:
    """Return how many seeds had come to their plateau."""
    if line.training is None or line.training.at_plateau is None:
        return Cell()
    return Cell(f"{line.training.at_plateau} of {len(line.seeds)}")


def _accuracy(line: Any, look: int) -> Cell:
    """Return the accuracy after a look, which may not be there."""
    return share(line.accuracy[look - 1]) if look <= len(line.accuracy) else Cell()


ENTRY = (
    Column("policy", lambda line: Cell(line.name), is_text=True),
    Column("kind", lambda line: Cell(line.kind), is_text=True),
)
_SEEDS = Column("seeds", lambda line: Cell(str(len(line.seeds))))
_RETURN = Column("return", lambda line: share(line.mean_return), brief=True)
_PLATEAU = Column("at plateau", _at_plateau)
_ON_TRAINING = Column("training return", lambda line: share(line.return_on_training), brief=True)
_GAP = Column("gap", lambda line: percent(line.gap))
_BETTER = Column("P(better)", lambda line: share(line.improvement, digits=2))
_COMPARED = (
    Column("points more", lambda line: points(line.difference)),
    _BETTER,
    Column("sampled: accuracy", lambda line: share(line.sampled_accuracy)),
    Column("sampled: return", lambda line: share(line.sampled_return)),
)
_COST = (
    Column("area", lambda line: share(line.budgeted_area)),
    Column("steps", partial(_count, attribute="steps")),
    Column("seconds", partial(_count, attribute="seconds")),
    Column("steps/s", partial(_count, attribute="steps_per_second")),
)
_PRICE = Column("price", lambda line: Cell(f"{line.look_cost:g}" if line.look_cost else ""))
_SPENT = Column("M multiply-adds", lambda line: millions(line.mean_multiply_adds))
_STOPPING = (
    _PRICE,
    Column("gain", lambda line: share(line.mean_gain)),
    Column("return", lambda line: share(line.mean_return)),
    Column("looks", lambda line: share(line.mean_looks, digits=2), brief=True),
    _SPENT,
)
_DIFFERENCE = (
    Column("difference", lambda each: Cell(each.name), is_text=True),
    Column("of", lambda each: Cell(each.ours), is_text=True),
    Column("less that of", lambda each: Cell(each.theirs), is_text=True),
    Column("return more", lambda each: share(each.mean_return, sign="+")),
)
_SEARCH = (
    Column("seen again", lambda line: percent(line.seen_again)),
    Column("put right", lambda line: percent(line.put_right)),
)


def text_tables(report: Report) -> list[TextTable]:
    """Return a report's tables: those of each setting, then those over all settings."""
    made = [table for each in report.settings for table in _setting_tables(report, each)]
    if report.aggregates:
        each_setting = [
            Column(setting.name, partial(_gap_on, number=number), brief=True)
            for number, setting in enumerate(report.settings)
        ]
        columns = (*each_setting, Column("all", lambda each: percent(each.gap)), _BETTER)
        title = f"gap on {len(report.settings)} settings, and over all of them"
        made.append(_table(title, (*ENTRY, *columns), report.aggregates))
    return made


def _setting_tables(report: Report, setting: SettingReport) -> Iterator[TextTable]:
    where = setting.name if setting.images is None else f"{setting.name}, {setting.images:,} images"
    looks = max((len(line.accuracy) for line in setting.lines), default=0)
    after = f" after looks 1 (the glance) to {looks}" if looks else ""
    accuracy = [
        Column(str(look), partial(_accuracy, look=look), brief=look < looks)
        for look in range(1, looks + 1)
    ]
    returns, cost = [_RETURN], [*_COST]
    if any(line.return_on_training for line in setting.lines):
        returns.append(_ON_TRAINING)
    if any(line.training and line.training.at_plateau is not None for line in setting.lines):
        cost.append(_PLATEAU)
    for title, columns in (
        (f"accuracy{after}", (_SEEDS, *accuracy, *returns, _GAP)),
        (f"against {report.reference}, and sampled actions", _COMPARED),
        ("cost", cost),
        (f"looks 3 to {looks} that follow a miss", _SEARCH),
    ):
        yield _table(f"{where}: {title}", (*ENTRY, *columns), setting.lines)
    if any(map(stops_or_pays, setting.lines)):
        yield _table(f"{where}: what was gained and spent", (*ENTRY, *_STOPPING), setting.lines)
    for each in setting.curves:
        yield _curves_table(f"{where}: {each.name}", each)
    if setting.differences:
        yield _table(f"{where}: differences of mean returns", _DIFFERENCE, setting.differences)


def stops_or_pays(line: Any) -> bool:
    """Return whether an entry took fewer looks than it could have, or paid for them."""
    took_all = line.mean_looks is None or line.mean_looks.estimate == len(line.accuracy)
    return not took_all or line.look_cost > 0


def _curves_table(title: str, curves: CurvesReport) -> TextTable:
    """Return the table of policies that stop, and of the means over the range that they cover."""
    more = (
        Column(name, partial(_more_than, number=number))
        for number, name in enumerate(curves.rivals)
    )
    accuracy = Column("accuracy", lambda line: share(line.accuracy), brief=True)
    spent = dataclasses.replace(_SPENT, brief=True)
    columns = (ENTRY[0], _PRICE, accuracy, spent, *more)
    whole = PriceReport("mean over the curve", differences=curves.areas)
    lines = (*curves.prices, whole) if curves.prices else ()
    return _table(
        f"{title}, points of accuracy more than others at equal multiply-adds", columns, lines
    )


def _more_than(line: Any, number: int) -> Cell:
    return points(line.differences[number])


def _gap_on(aggregate: Any, number: int) -> Cell:
    """Return the gap on a setting, which a report that was made before may not have."""
    return percent(aggregate.gaps[number]) if aggregate.gaps else Cell()


def _table(title: str, columns: Sequence[Column], lines: Sequence[Any]) -> TextTable:
    """Return the table of some columns, with a row a line."""
    rows = (tuple(column.cell(line) for column in columns) for line in lines)
    return TextTable(title, tuple(columns), tuple(rows))
