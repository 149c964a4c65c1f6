"""What the rows of a suite say, with intervals over seeds.

Interquartile means with stratified bootstrap intervals and probabilities of improvement after
Agarwal et al. (NeurIPS 2021); see `agents.benchmark.analysis.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.benchmark.analysis import caveats
from agents.benchmark.analysis.report import (
    Aggregate,
    Line,
    Made,
    Report,
    SettingReport,
    TrainingCost,
)
from agents.benchmark.analysis.rows import (
    Collected,
    collect,
    deterministic,
    last_accuracy,
    right_at_the_end,
    sampled,
)
from agents.benchmark.analysis.search_behaviour import Searching, searching
from agents.benchmark.analysis.statistics import (
    Interval,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)
from agents.benchmark.results import Result, ResultsError, ResultsFolder
from agents.benchmark.suite import Entry, Setting, Suite
from agents.registry.files import open_network
from agents.reporting.provenance import versions

_WHEN, _LOAD = "at", "load_before"
"""What differs between rows of the same machine and software."""

_Correct = dict[str, NDArray[np.bool_]]


def make_report(suite: Suite, folder: ResultsFolder) -> Report:
    """Report on the newest row of each of a suite's runs.

    Whether the rows are of today's images and networks is for `sweep.check_same_task`.

    Args:
        suite: what was to be run.
        folder: rows and arrays.

    Raises:
        ResultsError: the rows are damaged.
    """
    found = collect(suite, folder.latest())
    unread: list[str] = []
    settings = tuple(_setting(suite, each, found, folder, unread) for each in suite.settings)
    several = len(suite.settings) > 1
    aggregates = tuple(_aggregate(suite, each, found) for each in suite.entries) if several else ()
    made = _made(found.rows)
    sentences = [
        *caveats.runs(found, several=several),
        *unread,
        *caveats.ends(suite, settings),
        *caveats.few_seeds(suite, settings),
        *caveats.not_everywhere(settings),
        *caveats.different(made),
    ]
    return Report(
        suite=suite.name,
        description=suite.description,
        random=suite.random,
        oracle=suite.oracle,
        reference=suite.reference,
        settings=settings,
        aggregates=tuple(sorted(aggregates, key=lambda each: _rank(each.kind, each.gap))),
        missing=tuple(sentences),
        made=made,
        seconds=float(sum(row.seconds for row in found.rows)),
        runs=sum(len(rows) for rows in found.done.values()),
        planned=len(list(suite.runs())),
    )


def _setting(
    suite: Suite, setting: Setting, found: Collected, folder: ResultsFolder, unread: list[str]
) -> SettingReport:
    correct: _Correct = {}
    indices = None
    for entry in suite.entries:
        rows = found.of(setting, entry)
        if not rows:
            continue
        try:
            indices, correct[entry.name] = right_at_the_end(folder, rows, indices)
        except ResultsError as error:
            where = caveats.place(setting.name, several=len(suite.settings) > 1)
            unread.append(f"{entry.name}{where} is not compared image by image: {error}.")
    lines = [_line(suite, setting, entry, found, folder, correct) for entry in suite.entries]
    lines.sort(key=lambda line: _rank(line.kind, line.accuracy[-1] if line.accuracy else None))
    images = max((each.shape[1] for each in correct.values()), default=None)
    return SettingReport(setting.name, images, tuple(lines))


def _rank(kind: str, figure: Interval | None) -> tuple[bool, bool, float]:
    return figure is None, kind != "bound", 0.0 if figure is None else -figure.estimate


def _line(
    suite: Suite,
    setting: Setting,
    entry: Entry,
    found: Collected,
    folder: ResultsFolder,
    correct: _Correct,
) -> Line:
    rows = found.of(setting, entry)
    if not rows:
        return Line(entry.name, entry.kind)

    def over_seeds(figure: Callable[[Result], float]) -> Interval:
        return stratified_bootstrap([[figure(row) for row in rows]])

    went_on = _went_on(setting, rows, folder)
    looks = np.array([deterministic(row).accuracy for row in rows])  # (seeds, T)
    shares = _shares(suite, setting, entry, found)
    return Line(
        name=entry.name,
        kind=entry.kind,
        seeds=tuple(row.seed for row in rows),
        accuracy=tuple(stratified_bootstrap([values]) for values in looks.T),
        mean_return=over_seeds(lambda row: deterministic(row).mean_return),
        gap=None if shares is None else stratified_bootstrap([shares]),
        budgeted_area=None
        if any(row.budgeted_area is None for row in rows)
        else over_seeds(lambda row: row.budgeted_area or 0.0),
        sampled_accuracy=over_seeds(lambda row: sampled(row).accuracy[-1]),
        sampled_return=over_seeds(lambda row: sampled(row).mean_return),
        seen_again=_interval([each.seen_again for each in went_on]),
        put_right=_interval([each.put_right for each in went_on]),
        difference=_difference(suite, entry, correct),
        improvement=_improvement(suite, entry, found, [setting]),
        training=_training(rows),
    )


def _went_on(setting: Setting, rows: list[Result], folder: ResultsFolder) -> list[Searching]:
    """Return how each seed searched on after a miss; nothing where one has no arrays."""
    config = open_network(setting.network).config
    found = []
    for row in rows:
        try:
            arrays = folder.arrays(row.key)
        except ResultsError:
            return []
        sizes = config.image_size, config.patch_size
        found.append(searching(arrays["correct"], arrays["locations"], *sizes))
    return [each for each in found if each is not None]


def _interval(values: list[float]) -> Interval | None:
    return stratified_bootstrap([values]) if values else None


def _named(suite: Suite, name: str) -> Entry | None:
    return next((entry for entry in suite.entries if entry.name == name), None)


def _shares(
    suite: Suite, setting: Setting, entry: Entry, found: Collected
) -> NDArray[np.float64] | None:
    """Return (seeds,) shares of the gap; None without seeds, or where there is no gap."""
    rows = found.of(setting, entry)
    ends = [_named(suite, name) for name in (suite.random, suite.oracle)]
    of_ends = [found.of(setting, end) for end in ends if end is not None]
    if not rows or len(of_ends) < 2 or not all(of_ends):
        return None
    low, high = (last_accuracy(each).mean() for each in of_ends)
    return (last_accuracy(rows) - low) / (high - low) if high > low else None


def _difference(suite: Suite, entry: Entry, correct: _Correct) -> Interval | None:
    ours, theirs = correct.get(entry.name), correct.get(suite.reference)
    if entry.name == suite.reference or ours is None or theirs is None:
        return None
    return paired_difference(ours, theirs)


def _improvement(
    suite: Suite, entry: Entry, found: Collected, settings: Sequence[Setting]
) -> Interval | None:
    reference = _named(suite, suite.reference)
    if reference is None or entry == reference:
        return None
    ours = [found.of(setting, entry) for setting in settings]
    theirs = [found.of(setting, reference) for setting in settings]
    if not all(ours) or not all(theirs):
        return None
    return probability_of_improvement(
        [last_accuracy(rows) for rows in ours], [last_accuracy(rows) for rows in theirs]
    )


def _training(rows: list[Result]) -> TrainingCost | None:
    trained = [row.training for row in rows if row.training is not None]
    if not trained:
        return None
    steps = float(np.mean([each.steps for each in trained]))
    seconds = float(np.mean([each.seconds for each in trained]))
    return TrainingCost(steps, seconds, steps / seconds if seconds > 0 else 0.0)


def _aggregate(suite: Suite, entry: Entry, found: Collected) -> Aggregate:
    shares = [_shares(suite, setting, entry, found) for setting in suite.settings]
    there = [each for each in shares if each is not None]
    return Aggregate(
        entry.name,
        entry.kind,
        stratified_bootstrap(there) if len(there) == len(shares) else None,
        _improvement(suite, entry, found, suite.settings),
    )


def _made(rows: list[Result]) -> Made:
    times = sorted(str(row.made[_WHEN]) for row in rows if _WHEN in row.made)
    software = set(versions())
    of_software, of_machine = [], []
    for row in rows:
        kept = {key: value for key, value in row.made.items() if key not in (_WHEN, _LOAD)}
        of_software.append({key: kept[key] for key in kept if key in software})
        of_machine.append({key: kept[key] for key in kept if key not in software})
    return Made(
        first=times[0] if times else None,
        last=times[-1] if times else None,
        versions=_different(of_software),
        machines=_different(of_machine),
    )


def _different(found: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    kept: list[dict[str, Any]] = []
    for each in found:
        if each not in kept:
            kept.append(each)
    return tuple(kept)
