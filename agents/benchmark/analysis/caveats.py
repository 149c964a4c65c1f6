"""Sentences on what a report lacks, and on what to be wary of in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.benchmark.analysis.report import Line, Made, SettingReport
from agents.benchmark.analysis.rows import Collected
from agents.benchmark.analysis.statistics import Interval
from agents.benchmark.suite import Entry, Run, Suite


def place(setting: str, *, several: bool) -> str:
    """Return where something is, to follow a name; nothing where there is one setting."""
    return f" on {setting}" if several else ""


def runs(found: Collected, *, several: bool) -> Iterator[str]:
    """Yield which runs failed and why, and which are not done yet."""
    failed: dict[tuple[str, str], list[int]] = defaultdict(list)
    for run, row in found.failed:
        reason = (row.reason or "no reason is known").rstrip(".")
        failed[_named(run, several), reason].append(run.seed)
    for (name, reason), seeds in failed.items():
        yield f"{name}, {_seeds(seeds)} failed: {reason}."
    waiting: dict[str, list[int]] = defaultdict(list)
    for run in found.open:
        waiting[_named(run, several)].append(run.seed)
    for name, seeds in waiting.items():
        yield f"{name}, {_seeds(seeds)} {'is' if len(seeds) == 1 else 'are'} not done yet."


def ends(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield why there are no shares of the gap, or no comparisons with the reference."""
    no_gap, no_reference = "No shares of the gap", "No comparisons with a reference"
    needed = ((suite.random, no_gap), (suite.oracle, no_gap), (suite.reference, no_reference))
    entries = {entry.name for entry in suite.entries}
    for name, lacking in needed:
        if name not in entries:
            yield f"{lacking}: the suite has no {name}."
    for setting in settings:
        where = place(setting.name, several=len(settings) > 1)
        there = [line for line in setting.lines if line.accuracy]
        absent = entries - {line.name for line in there}
        for name, lacking in needed:
            if there and name in absent:
                yield f"{lacking}{where}: {name} has no finished run."
        has_ends = {suite.random, suite.oracle} <= entries - absent
        if has_ends and all(line.gap is None for line in there):
            yield f"{no_gap}{where}: {suite.oracle} is no better than {suite.random}."


def few_seeds(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield whose intervals are missing or not to be trusted, by the reason.

    What is true of an entry on a setting is true of its figures over all settings too.
    """
    noted: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    chanceless = {entry.name for entry in suite.entries if _has_no_chance(entry)}
    done = {line.name for setting in settings for line in setting.lines if line.accuracy}
    if chanceless & done:
        named = "; ".join(sorted(chanceless & done))
        yield f"The same with every seed, so run once and without intervals: {named}."
    for setting in settings:
        for line in setting.lines:
            if line.name in chanceless:
                continue
            for note in _notes(suite, line):
                noted[note][line.name].append(setting.name)
    for note, names in noted.items():
        yield f"{note[0].upper()}{note[1:]}: {'; '.join(_wheres(names, len(settings)))}."


def _has_no_chance(entry: Entry) -> bool:
    return entry.kind in ("rule", "bound") and entry.seeds is not None and len(entry.seeds) == 1


def _wheres(names: Mapping[str, Sequence[str]], settings: int) -> Iterator[str]:
    """Yield names, with the settings where it is not all of them."""
    for name, where in names.items():
        yield name if len(where) == settings else f"{name} on {' and '.join(where)}"


def _notes(suite: Suite, line: Line) -> Iterator[str]:
    own = line.accuracy[-1].note if line.accuracy else ""
    if own:
        yield own
    compared = (
        (line.difference, f"difference to {suite.reference}"),
        (line.improvement, f"improvement over {suite.reference}"),
    )
    for interval, what in compared:
        # what is true of the entry's own figures need not be said again
        if interval is not None and interval.note not in ("", own):
            yield f"{what}, {_sides(interval, suite.reference)}"


def _sides(interval: Interval, reference: str) -> str:
    return interval.note.replace("of theirs", f"of {reference}").replace("of ours", "of its own")


def not_everywhere(settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield who has no figures over all settings, as one has none."""
    names = [line.name for line in settings[0].lines]
    without = [
        name
        for name in names
        if any(line.name == name and not line.accuracy for each in settings for line in each.lines)
    ]
    if len(settings) > 1 and without:
        yield f"Not done on all settings, so without figures over all: {'; '.join(without)}."


def different(made: Made) -> Iterator[str]:
    """Yield in what rows differ that should have been made alike."""
    for what, found in (("versions", made.versions), ("machines", made.machines)):
        if len(found) > 1:
            yield f"Rows were made by different {what}: {'; '.join(_differences(found))}."


def _differences(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for key in dict.fromkeys(key for each in found for key in each):
        values = dict.fromkeys(str(each.get(key, "none")) for each in found)
        if len(values) > 1:
            yield f"{key} {' and '.join(values)}"


def _named(run: Run, several: bool) -> str:
    return f"{run.entry.name}{place(run.setting.name, several=several)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
