"""How long the paper's learner takes to an accuracy on the built-in task, by the clock.

The clock runs while the learner is made, collects and learns, but not while a feature bank is
built and checked (once for all runs) or the policy is tested. Tests are of the whole test split,
on pixels in float32 whatever the training saw.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from agents.learners.paper_ppo import PaperLearner, PaperPPOConfig
from agents.reporting.provenance import versions
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.evaluation import evaluate

VARIANTS: dict[str, TaskArguments] = {
    "pixels": {},
    "pixels, bfloat16": {"precision": "bfloat16"},
    "bank, 7 x 7": {"lattice_stride": 12, "feature_bank": True},
}
"""Tasks that differ in where glimpses come from."""


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
        accuracy: after the last look, to be reached.
        every: updates between two tests.
        updates: the most.
        seeds: one run each.
        output: JSON file for the results.
    """

    accuracy: float = 0.82
    every: int = 25
    updates: int = 500
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        variant: a name in `VARIANTS`.
        seed: its seed.
        reached: whether a test had the accuracy.
        updates: until then, or all.
        seconds: likewise.
        accuracy: after the last look, at the last test.
    """

    variant: str
    seed: int
    reached: bool
    updates: int
    seconds: float
    accuracy: float


def train(variant: str, seed: int, arguments: Arguments) -> Run:
    """Train until a test has the accuracy."""
    began = time.perf_counter()
    task = make_task(**VARIANTS[variant])
    learner = PaperLearner(task, PaperPPOConfig(updates=arguments.updates, seed=seed))
    spent, last = time.perf_counter() - began, 0.0
    updates = _updates(learner)
    done = 0
    while done < arguments.updates:
        began = time.perf_counter()
        for _ in range(min(arguments.every, arguments.updates - done)):
            next(updates)
            done += 1
        spent += time.perf_counter() - began
        last = float(evaluate(learner.policy(), split="test").accuracy[-1])
        if last >= arguments.accuracy:
            break
    return Run(variant, seed, last >= arguments.accuracy, done, spent, last)


def _updates(learner: PaperLearner) -> Iterator[Any]:
    for epoch in range(learner.epochs):
        yield from learner.updates(epoch)


def main() -> None:
    """Measure, print, and write."""
    arguments = tyro.cli(Arguments, description=__doc__)
    console = Console()
    for given in VARIANTS.values():
        make_task(**given)  # builds the bank where there is none yet
    runs = []
    for seed in arguments.seeds:  # side by side, so that a noisy machine slows all alike
        for variant in VARIANTS:
            runs.append(train(variant, seed, arguments))
            console.print(runs[-1])
    table = Table("", "reached", "seconds (median)", "fastest", "slowest", "updates (median)")
    for variant in VARIANTS:
        own = [run for run in runs if run.variant == variant]
        seconds = [run.seconds for run in own]
        times = statistics.median(seconds), min(seconds), max(seconds)
        table.add_row(
            variant,
            f"{sum(run.reached for run in own)} of {len(own)}",
            *(f"{value:.1f}" for value in times),
            f"{statistics.median(run.updates for run in own):.0f}",
        )
    console.print(table)
    if arguments.output is not None:
        content = {
            "accuracy": arguments.accuracy,
            "threads": torch.get_num_threads(),
            "runs": [dataclasses.asdict(run) for run in runs],
            "versions": versions(),
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
