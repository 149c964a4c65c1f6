"""What the rows of a suite say, with intervals over seeds.

Interquartile means with stratified bootstrap intervals and probabilities of improvement after
Agarwal et al. (NeurIPS 2021); see `agents.benchmark.analysis.statistics`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.benchmark.analysis import caveats
from agents.benchmark.analysis.accuracy_at_cost import compare_curves
from agents.benchmark.analysis.report import (
    Aggregate,
    DifferenceReport,
    EntryReport,
    Provenance,
    Report,
    SettingReport,
    TrainingCost,
)
from agents.benchmark.analysis.rows import (
    Collected,
    collect,
    last_accuracy,
    right_at_the_end,
    spending,
)
from agents.benchmark.analysis.search_behaviour import SearchBehaviour, search_behaviour
from agents.benchmark.analysis.statistics import (
    Interval,
    difference_of_means,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)
from agents.benchmark.results import Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Difference, Entry, Setting, Suite
from agents.reporting.provenance import versions

_WHEN, _NOT_COMPARED = "at", ("at", "load_before", "revision")
"""What differs between rows of the same machine and software; a manifest has the revisions."""

_Correct = dict[str, NDArray[np.bool_]]
"""(seeds, n) by the names of entries: which images were right after the last look."""


def make_report(suite: Suite, folder: ResultsFolder) -> Report:
    """Report on the newest row of each of a suite's runs.

    Whether the rows are of today's images and networks is for `sweep.check_same_task`.

    Raises:
        ResultsError: the rows are damaged.
    """
    found = collect(suite, folder)
    not_compared: list[str] = []
    settings = tuple(_setting(found, each, not_compared) for each in suite.settings)
    pooled = suite.entries if len(suite.settings) > 1 else ()
    aggregates = [_aggregate(found, each) for each in pooled]
    provenance = _provenance(found.rows)
    sentences = [
        *(f"{fault}." for fault in folder.damaged()),
        *caveats.runs(found),
        *not_compared,
        *caveats.ends(suite, settings),
        *caveats.differences(suite, settings),
        *caveats.curves(suite, settings),
        *caveats.few_seeds(suite, settings),
        *caveats.not_everywhere(settings),
        *caveats.rising(suite, settings),
        *caveats.different(provenance),
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
        made=provenance,
        seconds=float(sum(row.seconds for row in found.rows)),
        runs=sum(len(rows) for rows in found.done.values()),
        planned=len(list(suite.runs())),
    )


def _setting(found: Collected, setting: Setting, not_compared: list[str]) -> SettingReport:
    """Report on a setting; sentences on who cannot be compared are added to a list."""
    correct: _Correct = {}
    indices = None
    for entry in found.suite.entries:
        rows = found.of(setting, entry.name)
        if not rows:
            continue
        try:
            indices, correct[entry.name] = right_at_the_end(found.folder, rows, indices)
        except ResultsError as error:
            where = f"{entry.name}{caveats.place(found.suite, setting.name)}"
            not_compared.append(f"{where} is not compared image by image: {error}.")
    lines = [_entry(found, setting, entry, correct) for entry in found.suite.entries]
    lines.sort(key=lambda line: _rank(line.kind, line.accuracy[-1] if line.accuracy else None))
    pairs = found.suite.differences
    images = max((each.shape[1] for each in correct.values()), default=None)
    differences = tuple(_difference_of_returns(found, setting, each) for each in pairs)
    curves = tuple(compare_curves(found, setting, each) for each in found.suite.curves)
    return SettingReport(setting.name, images, tuple(lines), differences, curves)


def _rank(kind: str, metric: Interval | None) -> tuple[bool, bool, float]:
    return metric is None, kind != "bound", 0.0 if metric is None else -metric.estimate


def _entry(found: Collected, setting: Setting, entry: Entry, correct: _Correct) -> EntryReport:
    rows = found.of(setting, entry.name)
    if not rows:
        return EntryReport(entry.name, entry.kind)
    likeliest = [row.metrics() for row in rows]
    sampled = [row.metrics(deterministic=False) for row in rows]
    spent = [spending(row) for row in rows]
    searches = _searches(setting, rows, found.folder)
    return EntryReport(
        name=entry.name,
        kind=entry.kind,
        seeds=tuple(row.seed for row in rows),
        # over looks, each with a value a seed
        accuracy=tuple(
            stratified_bootstrap([seeds])
            for seeds in zip(*(each.accuracy for each in likeliest), strict=True)
        ),
        mean_return=_over_seeds([each.mean_return for each in likeliest]),
        return_on_training=_over_seeds([_return_on_training(row) for row in rows]),
        look_cost=entry.look_cost,
        mean_gain=_over_seeds([each.gain for each in spent]),
        mean_looks=_over_seeds([each.looks for each in spent]),
        mean_multiply_adds=_over_seeds([each.multiply_adds for each in spent]),
        gap=_over_seeds(_shares_of_gap(found, setting, entry)),
        budgeted_area=_over_seeds([row.budgeted_area for row in rows]),
        sampled_accuracy=_over_seeds([each.accuracy[-1] for each in sampled]),
        sampled_return=_over_seeds([each.mean_return for each in sampled]),
        seen_again=_over_seeds([each.seen_again for each in searches]),
        put_right=_over_seeds([each.put_right for each in searches]),
        difference=_difference(found.suite, entry, correct),
        improvement=_improvement(found, entry, [setting]),
        training=_training(rows),
    )


def _return_on_training(row: Result) -> float | None:
    on_training = None if row.training is None else row.training.on_training
    return None if on_training is None else on_training.mean_return


def _over_seeds(values: Sequence[float | None]) -> Interval | None:
    """Return the IQM of a value a seed; None without seeds, and where one has no value."""
    there = [value for value in values if value is not None]
    return stratified_bootstrap([there]) if there and len(there) == len(values) else None


def _searches(setting: Setting, rows: list[Result], folder: ResultsFolder) -> list[SearchBehaviour]:
    """Return how each seed that missed searched on; nothing where one has no arrays."""
    config = setting.open_network().config
    try:
        arrays = [folder.arrays(row) for row in rows]
    except ResultsError:
        return []
    sizes = config.image_size, config.patch_size
    found = (
        search_behaviour(each["correct"], each["locations"], *sizes, each.get("looks"))
        for each in arrays
    )
    return [each for each in found if each is not None]


def _shares_of_gap(found: Collected, setting: Setting, entry: Entry) -> list[float]:
    """Return each seed's share of the gap; nothing where there is no gap."""
    low, high = (found.of(setting, end) for end in (found.suite.random, found.suite.oracle))
    if not low or not high:
        return []
    lowest, highest = last_accuracy(low).mean(), last_accuracy(high).mean()
    if highest <= lowest:
        return []
    accuracy = last_accuracy(found.of(setting, entry.name))
    shares: list[float] = ((accuracy - lowest) / (highest - lowest)).tolist()
    return shares


def _difference(suite: Suite, entry: Entry, correct: _Correct) -> Interval | None:
    if entry.name == suite.reference or not {entry.name, suite.reference} <= correct.keys():
        return None
    ours, theirs = correct[entry.name], correct[suite.reference]
    return paired_difference(ours, theirs, sides=("its own", suite.reference))


def _difference_of_returns(
    found: Collected, setting: Setting, pair: Difference
) -> DifferenceReport:
    ours, theirs = (
        [row.metrics().mean_return for row in found.of(setting, name)]
        for name in (pair.ours, pair.theirs)
    )
    difference = difference_of_means(ours, theirs) if ours and theirs else None
    return DifferenceReport(pair.name, pair.ours, pair.theirs, difference)


def _improvement(found: Collected, entry: Entry, settings: Sequence[Setting]) -> Interval | None:
    reference = found.suite.reference
    ours, theirs = (
        [last_accuracy(found.of(setting, name)) for setting in settings]
        for name in (entry.name, reference)
    )
    if entry.name == reference or not all(map(len, [*ours, *theirs])):
        return None
    return probability_of_improvement(ours, theirs)


def _training(rows: list[Result]) -> TrainingCost | None:
    trained = [row.training for row in rows if row.training is not None]
    if not trained:
        return None
    steps = float(np.mean([each.steps for each in trained]))
    seconds = float(np.mean([each.seconds for each in trained]))
    flat = [each.at_plateau for each in trained]
    at_plateau = None if None in flat else flat.count(True)
    return TrainingCost(steps, seconds, steps / seconds if seconds > 0 else 0.0, at_plateau)


def _aggregate(found: Collected, entry: Entry) -> Aggregate:
    settings = found.suite.settings
    shares = [_shares_of_gap(found, setting, entry) for setting in settings]
    gap = stratified_bootstrap(shares) if all(shares) else None
    return Aggregate(
        name=entry.name,
        kind=entry.kind,
        gap=gap,
        improvement=_improvement(found, entry, settings),
        gaps=tuple(_over_seeds(each) for each in shares),
    )


def _provenance(rows: list[Result]) -> Provenance:
    times = sorted(str(row.made[_WHEN]) for row in rows if _WHEN in row.made)
    software = versions().keys()
    return Provenance(
        first=times[0] if times else None,
        last=times[-1] if times else None,
        versions=_different(rows, lambda key: key in software),
        machines=_different(rows, lambda key: key not in {*software, *_NOT_COMPARED}),
    )


def _different(rows: list[Result], is_wanted: Callable[[str], bool]) -> tuple[dict[str, Any], ...]:
    """Return the wanted part of how rows were made, each once, in the order of their first."""
    kept: list[dict[str, Any]] = []
    for row in rows:
        part = {key: value for key, value in row.made.items() if is_wanted(key)}
        if part not in kept:
            kept.append(part)
    return tuple(kept)
