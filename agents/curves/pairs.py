"""Pairs of a network and a policy, measured: the one that is shown, and others trained alike."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.benchmark.analysis.statistics import Interval, stratified_bootstrap
from agents.curves.equal_accuracy import ACCURACIES, Comparison, compare_at
from agents.curves.measure import Plain, Point, leave_early, ways_to_leave
from gf_env.datasets import Dataset
from gf_env.datasets.batches import Loading
from gf_env.evaluation import evaluate
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import Policy

TEST, FURTHER = "test", "further"


@dataclass(frozen=True)
class Images:
    """What pairs are measured on.

    Attributes:
        held_out: where exit thresholds are searched and chosen.
        test: what they are measured on.
        parts: rows of `test` by name: `test`, and `further` where there are any that nobody has
            looked at.
        loading: device and workers.
    """

    held_out: Dataset
    test: Dataset
    parts: dict[str, slice]
    loading: Loading


@dataclass(frozen=True)
class MeasuredPair:
    """What a network does with its policy.

    Attributes:
        held_out: its points on held-out images.
        points: on each part of the test images, with those of plain networks.
        accuracy: on each part, after each look.
    """

    held_out: list[Point]
    points: dict[str, list[Point]]
    accuracy: dict[str, list[float]]

    def comparisons(self, part: str, curve: str) -> list[Comparison]:
        """Return comparisons with plain networks on a part of the test images."""
        return compare_at(ACCURACIES, self.held_out, self.points[part], curve)


def measure_pair(
    network: GlanceFocusNet, policy: Policy, plain: Sequence[Plain], images: Images
) -> MeasuredPair:
    """Return what a pair does.

    Args:
        network: in eval mode, on the device of `images.loading`.
        policy: for this network; it does not stop.
        plain: plain networks on the test images.
        images: see `Images`.
    """
    run = functools.partial(
        evaluate,
        policy,
        network=network,
        device=images.loading.device,
        workers=images.loading.workers,
    )
    held_out, test = run(dataset=images.held_out), run(dataset=images.test)
    ways = ways_to_leave(held_out)
    parts = {name: test.take(rows) for name, rows in images.parts.items()}
    return MeasuredPair(
        leave_early(held_out, ways),
        {
            name: [*leave_early(part, ways), *(each.point(images.parts[name]) for each in plain)]
            for name, part in parts.items()
        },
        {name: part.accuracy.tolist() for name, part in parts.items()},
    )


def ratio_over_pairs(pairs: Sequence[MeasuredPair], part: str, curve: str) -> dict[float, Interval]:
    """Return the mean ratio of all pairs at each accuracy that all reach, with its interval."""
    ratios = [{each.wanted: each.ratio for each in pair.comparisons(part, curve)} for pair in pairs]
    shared = [wanted for wanted in ACCURACIES if all(wanted in each for each in ratios)]
    return {
        wanted: stratified_bootstrap([[each[wanted] for each in ratios]], np.mean)
        for wanted in shared
    }
