"""What learned stopping is worth: accuracy at equal mean multiply-adds, beside other ways to stop.

A way to stop gives points (mean multiply-adds, accuracy): one for each price of a look, budget,
confidence or number of looks. All of them become curves in the same way. A coin that decides image
by image between two points reaches every point between them, so a curve is the upper concave hull
of its points: no point that is dominated helps or harms its side. Nobody has to spend what they
may, so a curve stays level after its best point. Which points are on the hull is seen on the images
that are scored, which favours the side that has more of them: the paper's budgets with 39.

Two curves are compared from the cheapest to the dearest point of the learned one. The area between
them there, divided by the width of that range, is the mean difference in accuracy at equal cost.
Thresholds can be set so that everyone leaves after the glance, or nobody before the last look, so
these two points belong to the rivals. To the learned side belongs what was learned and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from agents.benchmark.analysis.report import CurvesReport, PriceReport
from agents.benchmark.analysis.rows import Collected, spending
from agents.benchmark.analysis.statistics import Interval, stratified_bootstrap
from agents.benchmark.results import Result, Tradeoff
from agents.benchmark.suite import Curves, Setting

BUDGETS, CONFIDENCE, FIXED = "paper's budgets", "one confidence", "fixed looks"

Points = NDArray[np.float64]
"""(m, 2) float64, in each row the mean multiply-adds of an image and the accuracy."""


@dataclass(frozen=True)
class SeedPoints:
    """All points of one seed.

    Attributes:
        seed: of learning.
        learned: a row for each policy that stops, in the order of `Curves.learned`.
        rivals: by `BUDGETS`, `CONFIDENCE` and `FIXED`; the first two only where they were kept,
            and none of a policy that stops.
    """

    seed: int
    learned: Points
    rivals: Mapping[str, Points]


def points_by_seed(found: Collected, setting: Setting, curves: Curves) -> list[SeedPoints]:
    """Return the points of each seed that has all runs of a comparison, by seed."""
    rows = [_by_seed(found.of(setting, name)) for name in (*curves.learned, curves.against)]
    seeds = sorted(set.intersection(*({*each} for each in rows)))
    return [
        SeedPoints(
            seed,
            learned=np.array([_whole_episodes(each[seed]) for each in rows[:-1]]),
            rivals=_rivals(rows[-1][seed]),
        )
        for seed in seeds
    ]


def curve(points: Points) -> Points:
    """Return the corners of the upper concave hull, by rising cost and rising accuracy.

    Left of the first corner and right of the last, the accuracy is theirs.
    """
    order = np.lexsort((-points[:, 1], points[:, 0]))
    corners: list[NDArray[np.float64]] = []
    for point in points[order]:
        if corners and point[1] <= corners[-1][1]:
            continue  # dearer and no better
        while len(corners) > 1 and not _is_above(corners[-1], corners[-2], point):
            corners.pop()
        corners.append(point)
    return np.array(corners)


def accuracy_at(points: Points, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the accuracy of the curve of some points at costs (k,)."""
    corners = curve(points)
    return np.interp(costs, corners[:, 0], corners[:, 1])


def mean_difference(ours: Points, theirs: Points) -> float:
    """Return how much higher our curve is in the mean, between our cheapest and dearest point.

    Where all of ours cost the same, it is the difference there.
    """
    low, high = ours[:, 0].min(), ours[:, 0].max()
    corners = np.concatenate([curve(ours)[:, 0], curve(theirs)[:, 0]])
    costs = np.unique([low, *corners[(low < corners) & (corners < high)], high])
    more = accuracy_at(ours, costs) - accuracy_at(theirs, costs)
    # both are straight between corners, so trapezoids are exact
    return float(trapezoid(more, costs) / (high - low) if high > low else more[0])


def compare_curves(found: Collected, setting: Setting, curves: Curves) -> CurvesReport:
    """Compare policies that stop with the ways to stop another one, seed by seed."""
    seeds = points_by_seed(found, setting, curves)
    if not seeds:
        return CurvesReport(curves.name, curves.against)
    rivals = tuple(name for name in seeds[0].rivals if all(name in each.rivals for each in seeds))
    # (seeds, prices, 2), and for each rival (seeds, prices)
    learned = np.stack([each.learned for each in seeds])
    more = [
        np.stack([_above(each.learned, each.rivals[name]) for each in seeds]) for name in rivals
    ]
    areas = [
        [mean_difference(each.learned, each.rivals[name]) for each in seeds] for name in rivals
    ]
    kept = {each.seed for each in seeds}
    entries = {entry.name: entry for entry in found.suite.entries}
    prices = []
    for number, name in enumerate(curves.learned):
        rows = [row for row in found.of(setting, name) if row.seed in kept]
        price = PriceReport(
            name=name,
            look_cost=entries[name].look_cost,
            accuracy=_mean(learned[:, number, 1]),
            mean_looks=_mean([spending(row).looks for row in rows]),
            mean_multiply_adds=_mean(learned[:, number, 0]),
            differences=tuple(_mean(each[:, number]) for each in more),
        )
        prices.append(price)
    return CurvesReport(
        name=curves.name,
        against=curves.against,
        seeds=tuple(each.seed for each in seeds),
        prices=tuple(prices),
        rivals=rivals,
        areas=tuple(map(_mean, areas)),
    )


def _above(ours: Points, theirs: Points) -> NDArray[np.float64]:
    """Return how much higher each of our points (m, 2) is than their curve at the same cost."""
    more: NDArray[np.float64] = ours[:, 1] - accuracy_at(theirs, ours[:, 0])
    return more


def _mean(values: ArrayLike) -> Interval:
    return stratified_bootstrap([values], np.mean)


def _by_seed(rows: Sequence[Result]) -> dict[int, Result]:
    return {row.seed: row for row in rows}


def _whole_episodes(row: Result) -> tuple[float, float]:
    return spending(row).multiply_adds, row.metrics().accuracy[-1]


def _rivals(row: Result) -> dict[str, Points]:
    """Return the points of the ways to stop a policy; none where it decides that itself."""
    metrics = row.metrics()
    fixed = np.array([*zip(row.multiply_adds, metrics.accuracy, strict=True)], np.float64)
    if row.exits is None:
        was_before_exits = metrics.mean_looks is None
        return {FIXED: fixed} if was_before_exits else {}
    ends = fixed[[0, -1]]
    return {
        BUDGETS: np.concatenate([ends, _points(row.exits.budgeted)]),
        CONFIDENCE: np.concatenate([ends, _points(row.exits.confident)]),
        FIXED: fixed,
    }


def _points(tradeoffs: Sequence[Tradeoff]) -> Points:
    return np.array([(cost, accuracy) for _, accuracy, cost in tradeoffs])


def _is_above(
    point: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64]
) -> bool:
    """Return whether a point lies above the straight line from the one before to the one after."""
    (run, rise), (whole_run, whole_rise) = point - before, after - before
    return bool(rise * whole_run > whole_rise * run)
