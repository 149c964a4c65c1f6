"""Pairs of a network and a policy, measured: the one that is shown, and others trained alike."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from agents.benchmark.analysis.statistics import Interval, stratified_bootstrap
from agents.curves.equal_accuracy import ACCURACIES, Comparison, compare_at
from agents.curves.measure import Plain, Point, leave_early, ways_to_leave
from gf_env.datasets.base import Dataset, dataset_digest
from gf_env.datasets.batches import Loading
from gf_env.evaluation import evaluate
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import Policy
from gf_env.storage.files import parse_json, read_file, short, write_atomically

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

    def digests(self) -> dict[str, str]:
        """Return digests of both; see `dataset_digest`."""
        return {"held out": dataset_digest(self.held_out), TEST: dataset_digest(self.test)}


@dataclass(frozen=True)
class MeasuredPair:
    """What a network does with its policy.

    Attributes:
        network: its digest.
        images: digests of what it was measured on.
        held_out: its points on held-out images.
        points: on each part of the test images, with those of plain networks once it is beside
            them.
        accuracy: on each part, after each look.
    """

    network: str
    images: dict[str, str]
    held_out: list[Point]
    points: dict[str, list[Point]]
    accuracy: dict[str, list[float]]

    def beside(self, plain: Sequence[Plain], images: Images) -> "MeasuredPair":
        """Return it with the points of plain networks on the same images.

        Raises:
            ValueError: it was measured on other images.
        """
        digests = images.digests()
        if self.images != digests:
            raise ValueError(
                f"the pair of network {self.network[:12]} was measured on {self.images}, and plain "
                f"networks are on {digests}; measure it again, from the folder of its training"
            )
        points = {
            name: [*points, *(each.point(images.parts[name]) for each in plain)]
            for name, points in self.points.items()
        }
        return dataclasses.replace(self, points=points)

    def comparisons(self, part: str, curve: str) -> list[Comparison]:
        """Return comparisons with plain networks on a part of the test images."""
        return compare_at(ACCURACIES, self.held_out, self.points[part], curve)

    def save(self, path: Path) -> None:
        """Write it to a file of JSON."""
        content = json.dumps(dataclasses.asdict(self), indent=1) + "\n"
        write_atomically(path, content.encode())


def load_pair(path: Path) -> MeasuredPair:
    """Return a pair that was measured before.

    Raises:
        OSError: no such file.
        ValueError: another file.
    """
    try:
        made: MeasuredPair = TypeAdapter(MeasuredPair).validate_python(parse_json(read_file(path)))
    except ValueError as error:
        raise ValueError(f"{path} holds no measured pair: {short(error)}") from error
    return made


def measure_pair(network: GlanceFocusNet, policy: Policy, images: Images) -> MeasuredPair:
    """Return what a pair does.

    Args:
        network: in eval mode, on the device of `images.loading`.
        policy: for this network; it does not stop.
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
        network.digest(),
        images.digests(),
        leave_early(held_out, ways),
        {name: leave_early(part, ways) for name, part in parts.items()},
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
