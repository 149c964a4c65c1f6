"""Sentences on what a report lacks, and on what to be wary of in it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from agents.benchmark.analysis.report import EntryReport, Provenance, SettingReport
from agents.benchmark.analysis.rows import Collected
from agents.benchmark.suite import Suite


def place(suite: Suite, setting: str) -> str:
    """Return where something is, to follow a name; nothing where there is one setting."""
    return f" on {setting}" if len(suite.settings) > 1 else ""


def runs(found: Collected) -> Iterator[str]:
    """Yield which runs failed and why, and which are not done yet."""
    failed = [(run, row.reason or "no reason is known") for run, row in found.failed]
    seeds: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for run, reason in [*failed, *((run, None) for run in found.open)]:
        name = f"{run.entry.name}{place(found.suite, run.setting.name)}"
        seeds[name, reason and reason.rstrip(".")].append(str(run.seed))
    for (name, reason), each in seeds.items():
        plural = len(each) > 1
        which = f"{name}, seed{'s' if plural else ''} {', '.join(each)}"
        not_done = f"{'are' if plural else 'is'} not done yet"
        yield f"{which} {not_done if reason is None else f'failed: {reason}'}."


def ends(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield why there are no shares of the gap, or no comparisons with the reference."""
    no_gap, no_reference = "No shares of the gap", "No comparisons with a reference"
    needed = ((suite.random, no_gap), (suite.oracle, no_gap), (suite.reference, no_reference))
    entries = {entry.name for entry in suite.entries}
    for name, lacking in needed:
        if name not in entries:
            yield f"{lacking}: the suite has no {name}."
    for setting in settings:
        where = place(suite, setting.name)
        there = [line for line in setting.lines if line.accuracy]
        absent = entries - {line.name for line in there}
        for name, lacking in needed:
            if there and name in absent:
                yield f"{lacking}{where}: {name} has no finished run."
        has_ends = {suite.random, suite.oracle} <= entries - absent
        if has_ends and all(line.gap is None for line in there):
            yield f"{no_gap}{where}: {suite.oracle} is no better than {suite.random}."


def differences(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield why the suite's differences are missing, or what to be wary of in them."""
    entries = {entry.name for entry in suite.entries}
    for pair in suite.differences:
        for name in sorted({pair.ours, pair.theirs} - entries):
            yield f"No difference {pair.name}: the suite has no {name}."
    for setting in settings:
        for each in setting.differences:
            if each.mean_return is not None and each.mean_return.note:
                where = place(suite, setting.name)
                yield f"Difference {each.name}{where}, {each.mean_return.note}."


def curves(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield why comparisons of policies that stop are missing, or what to be wary of in them."""
    entries = {entry.name for entry in suite.entries}
    for wanted in suite.curves:
        for name in sorted({*wanted.learned, wanted.against} - entries):
            yield f"No curve {wanted.name}: the suite has no {name}."
    for setting in settings:
        where = place(suite, setting.name)
        for each in setting.curves:
            if not each.seeds:
                yield f"No curve {each.name}{where}: no seed has all of its runs."
            elif len(each.rivals) < 3:
                yield (
                    f"Curve {each.name}{where} is not compared with exits by thresholds: "
                    f"{each.against} stops by itself, or its rows are from before they were kept."
                )
            for note in dict.fromkeys(area.note for area in each.areas if area.note):
                yield f"Curve {each.name}{where}, {note}."


def few_seeds(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield whose intervals are missing or not to be trusted, by the reason.

    What is true of an entry on a setting is true of its metrics over all settings too.
    """
    run_once = {
        entry.name
        for entry in suite.entries
        if entry.kind in ("rule", "bound") and len(entry.seeds or ()) == 1
    }
    done = {line.name for setting in settings for line in setting.lines if line.accuracy}
    if run_once & done:
        named = "; ".join(sorted(run_once & done))
        yield f"The same with every seed, so run once and without intervals: {named}."
    # settings by note and name
    noted: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for setting in settings:
        for line in setting.lines:
            for note in () if line.name in run_once else _notes(suite.reference, line):
                noted[note][line.name].append(setting.name)
    for note, names in noted.items():
        whose = [
            name if len(where) == len(settings) else f"{name} on {' and '.join(where)}"
            for name, where in names.items()
        ]
        yield f"{note[0].upper()}{note[1:]}: {'; '.join(whose)}."


def _notes(reference: str, line: EntryReport) -> Iterator[str]:
    own = line.accuracy[-1].note if line.accuracy else ""
    if own:
        yield own
    for interval, what in (
        (line.difference, f"difference to {reference}"),
        (line.improvement, f"improvement over {reference}"),
    ):
        # what is true of the entry's own metrics need not be said again
        if interval is not None and interval.note not in ("", own):
            yield f"{what}, {interval.note}"


def rising(suite: Suite, settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield who still rose at the end of training, by the rule that was declared for it."""
    for setting in settings:
        found = [
            f"{line.name} ({len(line.seeds) - line.training.at_plateau} of {len(line.seeds)} seeds)"
            for line in setting.lines
            if line.training is not None
            and line.training.at_plateau is not None
            and line.training.at_plateau < len(line.seeds)
        ]
        if found:
            where = place(suite, setting.name)
            yield f"Still rising on validation images where training ended{where}: " + (
                f"{'; '.join(found)}."
            )


def not_everywhere(settings: Sequence[SettingReport]) -> Iterator[str]:
    """Yield who has no metrics over all settings, as one has none."""
    lacking = {line.name for each in settings for line in each.lines if not line.accuracy}
    without = [line.name for line in settings[0].lines if line.name in lacking]
    if len(settings) > 1 and without:
        yield f"Not done on all settings, so without figures over all: {'; '.join(without)}."


def different(provenance: Provenance) -> Iterator[str]:
    """Yield in what rows differ that should have been made alike."""
    for what, found in (("versions", provenance.versions), ("machines", provenance.machines)):
        if len(found) > 1:
            yield f"Rows were made by different {what}: {'; '.join(_differences(found))}."


def _differences(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    for key in dict.fromkeys(key for each in found for key in each):
        values = dict.fromkeys(str(each.get(key, "none")) for each in found)
        if len(values) > 1:
            yield f"{key} {' and '.join(values)}"
