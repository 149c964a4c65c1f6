"""What a report on a suite holds: metrics with intervals, which JSON can hold too.

All metrics are of the likeliest actions but for those that are called sampled.
"""

from dataclasses import dataclass
from typing import Any

from agents.benchmark.analysis.statistics import Interval


@dataclass(frozen=True)
class TrainingCost:
    """What learning took, means over seeds.

    Attributes:
        steps: actions taken.
        seconds: of training.
        steps_per_second: all seeds' steps by all their seconds.
        at_plateau: how many seeds' curves on validation images were flat at their end, by the rule
            that was declared; None where a seed had none.
    """

    steps: float
    seconds: float
    steps_per_second: float
    at_plateau: int | None = None


@dataclass(frozen=True)
class EntryReport:
    """An entry's metrics on a setting, IQM over seeds; empty where no run is finished.

    Attributes:
        name: the entry's.
        kind: see `agents.benchmark.suite.Entry.kind`.
        seeds: of finished runs.
        accuracy: after each of T looks.
        mean_return: of the episodes, less the looks' cost.
        return_on_training: the same on images that were learned from; None for what has not
            learned here, and where rows are from before it was kept.
        look_cost: what a look costs.
        mean_gain: of the episodes, the looks' cost not taken off.
        mean_looks: taken in an episode, the glance included.
        mean_multiply_adds: spent on an episode.
        gap: share of the way from random to the oracle by accuracy after the last look. Both ends
            are means over seeds and taken as they are: the interval is of the entry's seeds.
        budgeted_area: mean accuracy over mean costs; see `agents.benchmark.results.Result`.
        sampled_accuracy: after the last look, with sampled actions.
        sampled_return: likewise.
        seen_again: see `agents.benchmark.analysis.search_behaviour.SearchBehaviour`; None where
            arrays are missing or there was no miss.
        put_right: likewise.
        difference: to the reference's accuracy after the last look on the same images, 0.01 is a
            point; None for the reference itself.
        improvement: probability that a seed ends with a higher accuracy than one of the reference;
            None for the reference itself.
        training: None for what has not learned here.
    """

    name: str
    kind: str
    seeds: tuple[int, ...] = ()
    accuracy: tuple[Interval, ...] = ()
    mean_return: Interval | None = None
    return_on_training: Interval | None = None
    look_cost: float = 0.0
    mean_gain: Interval | None = None
    mean_looks: Interval | None = None
    mean_multiply_adds: Interval | None = None
    gap: Interval | None = None
    budgeted_area: Interval | None = None
    sampled_accuracy: Interval | None = None
    sampled_return: Interval | None = None
    seen_again: Interval | None = None
    put_right: Interval | None = None
    difference: Interval | None = None
    improvement: Interval | None = None
    training: TrainingCost | None = None


@dataclass(frozen=True)
class DifferenceReport:
    """By how much the return of one entry is above that of another, on a setting.

    Attributes:
        name: what differs.
        ours: name of an entry.
        theirs: name of the other.
        mean_return: mean over seeds of ours less mean over seeds of theirs, with an interval over
            both sides' seeds; None where one has no finished run.
    """

    name: str
    ours: str
    theirs: str
    mean_return: Interval | None


@dataclass(frozen=True)
class PriceReport:
    """A policy that stops, beside other ways to stop that cost as much; means over seeds.

    Attributes:
        name: the entry's.
        look_cost: what a look cost it.
        accuracy: at the end of its episodes.
        mean_looks: taken in an episode, the glance included.
        mean_multiply_adds: spent on an episode.
        differences: to the accuracy of each rival at the same mean multiply-adds.
    """

    name: str
    look_cost: float | None = None
    accuracy: Interval | None = None
    mean_looks: Interval | None = None
    mean_multiply_adds: Interval | None = None
    differences: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class CurvesReport:
    """Policies that stop, compared with other ways to stop; all empty where no seed has all runs.

    Attributes:
        name: what is compared.
        against: name of the entry that never stops.
        seeds: those that have all runs.
        prices: the policies that stop, in the suite's order.
        rivals: what the ways to stop are called.
        areas: mean difference in accuracy to each rival at equal mean multiply-adds; see
            `agents.benchmark.analysis.accuracy_at_cost`.
    """

    name: str
    against: str
    seeds: tuple[int, ...] = ()
    prices: tuple[PriceReport, ...] = ()
    rivals: tuple[str, ...] = ()
    areas: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class SettingReport:
    """All entries on one setting.

    Attributes:
        name: the setting's.
        images: how many were evaluated; None where no arrays are there.
        lines: bounds first, then by accuracy after the last look, then what has no metrics.
        differences: those that the suite names, in its order.
        curves: likewise.
    """

    name: str
    images: int | None
    lines: tuple[EntryReport, ...]
    differences: tuple[DifferenceReport, ...] = ()
    curves: tuple[CurvesReport, ...] = ()


@dataclass(frozen=True)
class Aggregate:
    """An entry's metrics over all settings; None where one of them has none.

    Attributes:
        name: the entry's.
        kind: see `agents.benchmark.suite.Entry.kind`.
        gap: IQM of the shares of all settings' seeds, pooled; resampled within settings.
        improvement: probability that a seed beats one of the reference on a setting drawn at
            random; None for the reference itself.
        gaps: on each setting alone, in the suite's order; None where there is none.
    """

    name: str
    kind: str
    gap: Interval | None
    improvement: Interval | None
    gaps: tuple[Interval | None, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """By what and when rows were made.

    Attributes:
        first: date and time of the oldest row; None without rows.
        last: of the newest.
        versions: of software, by package; more than one where rows differ.
        machines: likewise.
    """

    first: str | None
    last: str | None
    versions: tuple[dict[str, str], ...]
    machines: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Report:
    """What a suite's rows say.

    Attributes:
        suite: its name.
        description: the suite's.
        random: name of the entry at the lower end of the gap.
        oracle: name of the entry at its upper end.
        reference: name of the entry that others are compared with.
        settings: in the suite's order.
        aggregates: over settings, by share of the gap; empty where there is one setting.
        missing: sentences on what is not there, and on what to be wary of.
        made: by what and when.
        seconds: of all runs, those that failed too; a run has one thread, so it is core time.
        runs: how many are finished.
        planned: how many the suite has.
    """

    suite: str
    description: str
    random: str
    oracle: str
    reference: str
    settings: tuple[SettingReport, ...]
    aggregates: tuple[Aggregate, ...]
    missing: tuple[str, ...]
    made: Provenance
    seconds: float
    runs: int
    planned: int
