"""Where the time of the vector environment goes, by kind of work.

Operations are timed by PyTorch's profiler, the whole by the clock without it: what is left over is
Python, NumPy and the cost of calling operations. Everything runs on one thread, since the
profiler does not see what other threads do.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from agents.reporting.latency import measure_latency
from agents.reporting.provenance import versions
from gf_env.storage.files import write_atomically

KINDS = {
    "convolutions": ("aten::mkldnn_convolution", "aten::thnn_conv2d", "aten::_slow_conv2d_forward"),
    "batch normalisation": ("aten::native_batch_norm",),
    "activations": ("aten::clamp_min_", "aten::relu_", "aten::clamp_min", "aten::relu"),
    "classifier (GRU cell, linear)": (
        *("aten::addmm", "aten::mm", "aten::tanh_", "aten::sigmoid_", "aten::gru_cell"),
        *("aten::mul_", "aten::linear"),
    ),
    "looking up and gathering": ("aten::index_select", "aten::index", "aten::gather"),
    "converting and copying": ("aten::copy_", "aten::cat", "aten::clone"),
    "softmax": ("aten::_softmax",),
}
OTHER, REST = "other operations", "Python, NumPy and calls"


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
        num_envs: episodes in a batch.
        episodes: of every environment, profiled.
        output: JSON file for the results.
    """

    num_envs: int = 256
    episodes: int = 20
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None


def episode_of(num_envs: int, **arguments: Any) -> Callable[[], None]:
    """Return an episode of the vector environment on the built-in task's train split."""
    env: Any = gym.make_vec(num_envs=num_envs, **arguments)
    env.reset(seed=0)
    env.action_space.seed(0)
    looks = env.unwrapped.task.rules.sequence_length - 1
    actions = [env.action_space.sample() for _ in range(looks)]

    def episode() -> None:
        for each in actions:
            env.step(each)

    return episode


def shares(episode: Callable[[], None], episodes: int) -> dict[str, float]:
    """Return milliseconds of an episode by kind of work."""
    seconds = measure_latency(episode, repeats=episodes).seconds
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(episodes):
            episode()
    spent = {
        each.key: each.self_cpu_time_total / 1e3 / episodes for each in profiled.key_averages()
    }
    found = {kind: sum(spent.pop(name, 0.0) for name in names) for kind, names in KINDS.items()}
    found[OTHER] = sum(value for name, value in spent.items() if name.startswith("aten::"))
    found[REST] = max(0.0, statistics.median(seconds) * 1e3 - sum(found.values()))
    return found


def main() -> None:
    """Measure, print, and write."""
    arguments = tyro.cli(Arguments, description=__doc__)
    torch.set_num_threads(1)
    variants = {
        "pixels": {"id": "GlanceFocus-v0"},
        "feature bank": {"id": "GlanceFocusGrid-v0", "feature_bank": True},
    }
    found = {
        name: shares(episode_of(arguments.num_envs, **given), arguments.episodes)
        for name, given in variants.items()
    }
    table = Table("", *(f"{name}, ms" for name in found), *(f"{name}, %" for name in found))
    for kind in (*KINDS, OTHER, REST):
        values = [each[kind] for each in found.values()]
        parts = [each[kind] / sum(each.values()) for each in found.values()]
        table.add_row(kind, *(f"{v:.2f}" for v in values), *(f"{part:.1%}" for part in parts))
    console = Console()
    console.print(table)
    if arguments.output is not None:
        content = {
            "num_envs": arguments.num_envs,
            "threads": 1,
            "milliseconds_per_episode": found,
            "versions": versions(),
        }
        write_atomically(arguments.output, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
