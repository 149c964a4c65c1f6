"""How much of the frozen network's speed the vector environment keeps.

Both sides do the same encoder work on the same scenes: for each step of N episodes the local
encoder and the classifier, and for each new episode the global encoder and the classifier. They
take turns within one run, so that a noisy machine slows both; the ratio of the medians is the
figure.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import gymnasium as gym
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from agents.versions import versions
from gf_env.task import Task, make_task


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
        num_envs: episodes in a batch.
        rounds: how often each side has its turn.
        episodes: whole episodes of every environment in a turn.
        output: JSON file for the figures.
    """

    num_envs: int = 256
    rounds: int = 15
    episodes: int = 3
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None


def bare_network(task: Task, arguments: Arguments) -> Callable[[], None]:
    """Return a turn of the network alone, on normalised images that are already tensors."""
    rng = np.random.default_rng(0)
    network, count = task.network, arguments.num_envs
    images = network.normalise(task.dataset.images(rng.integers(0, len(task.dataset), count)))
    locations = torch.rand(count, 2, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def turn() -> None:
        for _ in range(arguments.episodes):
            hidden = network.glance(images).hidden
            for _ in range(task.rules.sequence_length - 1):
                hidden = network.focus(images, locations, hidden).hidden

    return turn


def vector_env(arguments: Arguments) -> Callable[[], None]:
    """Return a turn of the environment, NumPy in and out, every observation and info made."""
    env = gym.make_vec("GlanceFocus-v0", num_envs=arguments.num_envs)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (arguments.num_envs, 2)).astype(np.float32)
    steps = arguments.episodes * (env.unwrapped.task.rules.sequence_length - 1)

    def turn() -> None:
        for _ in range(steps):
            env.step(actions)

    return turn


def measure(turns: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every turn, after one turn each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            start = time.perf_counter()
            turn()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure, print, and write."""
    arguments = tyro.cli(Arguments, description=__doc__)
    task = make_task()
    turns = {"bare network": bare_network(task, arguments), "vector env": vector_env(arguments)}
    seconds = measure(turns, arguments.rounds)
    steps = arguments.num_envs * arguments.episodes * (task.rules.sequence_length - 1)
    rates = {name: steps / statistics.median(values) for name, values in seconds.items()}
    share = rates["vector env"] / rates["bare network"]
    table = Table("", "steps/s (median)", "slowest", "fastest")
    for name, values in seconds.items():
        row = (rates[name], steps / max(values), steps / min(values))
        table.add_row(name, *(f"{value:,.0f}" for value in row))
    console = Console()
    console.print(table)
    console.print(f"{arguments.num_envs} envs: {share:.0%} of the bare network's steps per second")
    if arguments.output is not None:
        figures = {
            "num_envs": arguments.num_envs,
            "threads": torch.get_num_threads(),
            "steps_per_second": rates,
            "share_of_bare_network": share,
            "seconds": seconds,
            "versions": versions(),
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
