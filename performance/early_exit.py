"""How much of the multiply-adds that early exit saves is saved in time.

The same test images are classified with all T looks and with the exit thresholds of several
budgets q, found on the validation split. All take turns within one run, so that a noisy machine
slows all alike; shares are of the median turn. Every turn sees the same images, so that the
convolutions have met each batch size before: a batch size that is new costs some milliseconds once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import agents
import gf_env
from agents.policies.base import Policy
from agents.policies.network_policy import NetworkPolicy
from agents.reporting.latency import Latency, interleaved_latency
from agents.reporting.provenance import versions
from gf_env.envs.make_task import make_task
from gf_env.envs.task import Task
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.inference.budgets import BUDGETS, BudgetPoint


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
        network: a built-in name or a file.
        policy: for it, likewise; it does not stop.
        budgets: values of q, out of 0.05, 0.10, ... 1.95.
        batch_size: images at a time.
        batches: as many images as these in a turn.
        refill: waiting images take the places of those that left; without it every batch is
            classified by itself, and gets smaller and smaller.
        rounds: how often each has its turn.
        threads: of the CPU; with each number all are measured anew.
        validation_images: on which thresholds are searched.
        device: where the network and the policy run.
        json: file for the results.
    """

    network: str = "cluttered-digits-search"
    policy: str = "cluttered-digits-search"
    budgets: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0, 1.4)
    batch_size: int = 64
    batches: int = 31
    refill: bool = True
    rounds: int = 7
    threads: tuple[int, ...] = (1, 2)
    validation_images: int = 1000
    device: str = "cpu"
    json: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None

    def __post_init__(self) -> None:
        """Check the budgets, which are the only values that nothing else checks."""
        unknown = [q for q in self.budgets if q not in BUDGETS]
        if unknown or not self.budgets:
            raise ValueError(f"budgets are one or more of {BUDGETS}, got {self.budgets}")


@dataclass(frozen=True)
class Saving:
    """What one budget saves, as shares of what all T looks take.

    Attributes:
        q: the budget.
        accuracy: of the test images.
        mean_looks: at an image.
        milliseconds: per image, of the median turn.
        multiply_adds_saved: share in [0, 1].
        time_saved: share.
        ratio: time saved / multiply-adds saved.
    """

    q: float
    accuracy: float
    mean_looks: float
    milliseconds: float
    multiply_adds_saved: float
    time_saved: float
    ratio: float


def budget_points(
    policy: Policy, arguments: Arguments
) -> tuple[list[BudgetPoint], NDArray[np.int64]]:
    """Return the chosen points of the curve on the images that are timed, and cumulative costs."""
    evaluate = functools.partial(
        gf_env.evaluate, policy, network=arguments.network, device=arguments.device
    )
    held_out = evaluate(split="validation", num_images=arguments.validation_images)
    test = evaluate(split="test", num_images=arguments.batch_size * arguments.batches)
    curve = gf_env.budgeted_curve(
        held_out.max_probability, test.max_probability, test.correct, test.multiply_adds
    )
    return [point for point in curve if point.q in arguments.budgets], test.multiply_adds


def measure(
    task: Task, policy: Policy, points: list[BudgetPoint], arguments: Arguments
) -> dict[str, Latency]:
    """Return the latency of a turn with `all looks` and with each budget, by name."""
    classifier = AdaptiveClassifier(task.network, policy)
    size = arguments.batch_size
    images = task.dataset.images(np.arange(size * arguments.batches)).to(arguments.device)
    parts = [images] if arguments.refill else torch.split(images, size)

    def turn(thresholds: NDArray[np.float64] | None) -> None:
        for part in parts:
            classifier.classify(part, thresholds, batch_size=size)

    runs = {"all looks": functools.partial(turn, None)}
    runs |= {f"q = {point.q:g}": functools.partial(turn, point.thresholds) for point in points}
    return interleaved_latency(runs, repeats=arguments.rounds, device=arguments.device)


def saving(point: BudgetPoint, latency: Latency, full: Latency, cost: int, images: int) -> Saving:
    """Return what a budget saves of `full` and of the `cost` of all looks."""
    multiply_adds_saved = 1 - point.mean_cost / cost
    time_saved = 1 - latency.median / full.median
    return Saving(
        q=point.q,
        accuracy=point.accuracy,
        mean_looks=float(point.exit_shares @ np.arange(1, len(point.exit_shares) + 1)),
        milliseconds=latency.median / images * 1e3,
        multiply_adds_saved=multiply_adds_saved,
        time_saved=time_saved,
        ratio=time_saved / multiply_adds_saved if multiply_adds_saved else float("nan"),
    )


def savings_table(savings: Sequence[Saving], threads: int) -> Table:
    """Return a row for each budget."""
    table = Table(
        *("budget q", "accuracy", "looks", "ms/image", "multiply-adds saved", "time saved"),
        "ratio",
        title=f"threads: {threads}",
    )
    for each in savings:
        table.add_row(
            f"{each.q:g}",
            f"{each.accuracy:.3f}",
            f"{each.mean_looks:.2f}",
            f"{each.milliseconds:.3f}",
            f"{each.multiply_adds_saved:.1%}",
            f"{each.time_saved:.1%}",
            f"{each.ratio:.2f}",
        )
    return table


def main() -> None:
    """Measure, print, and write."""
    arguments = tyro.cli(Arguments, description=__doc__)
    task = make_task(network=arguments.network, split="test", device=arguments.device)
    policy = agents.load_policy(arguments.policy)
    if isinstance(policy, NetworkPolicy):
        policy.network.to(arguments.device)
    points, cost = budget_points(policy, arguments)
    images = arguments.batch_size * arguments.batches
    console, runs = Console(), []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        latencies = measure(task, policy, points, arguments)
        full = latencies["all looks"]
        savings = [
            saving(point, latencies[f"q = {point.q:g}"], full, int(cost[-1]), images)
            for point in points
        ]
        console.print(savings_table(savings, threads))
        console.print(
            f"all {len(cost)} looks: {full.median / images * 1e3:.3f} ms/image (fastest turn "
            f"{full.minimum / images * 1e3:.3f}, slowest {full.maximum / images * 1e3:.3f})"
        )
        runs.append(
            {
                "threads": threads,
                "all_looks_ms_per_image": full.median / images * 1e3,
                "budgets": [asdict(each) for each in savings],
                "seconds": {name: latency.seconds for name, latency in latencies.items()},
            }
        )
    if arguments.json is not None:
        about = {name: value for name, value in asdict(arguments).items() if name != "json"}
        found = {**about, "multiply_adds": cost.tolist(), "runs": runs, "versions": versions()}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
