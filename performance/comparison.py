"""Contenders compared in one setting: they take turns, so that a noisy machine slows all alike."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.reporting.latency import interleaved_latency
from performance.contenders import Contender, Turn
from performance.settings import Materials, NotMeasuredError, Workload


@dataclass(frozen=True)
class Effort:
    """How long a comparison takes.

    Attributes:
        seconds: for all counted rounds together, if the fewest rounds allow it.
        rounds: in which each contender has its turn.
        fewest_rounds: even if they take longer.
        bank_bytes: larger feature banks are not built.
    """

    seconds: float
    rounds: int
    fewest_rounds: int
    bank_bytes: float


@dataclass(frozen=True)
class Experiment:
    """Contenders that are compared on one workload.

    Attributes:
        name: which question it belongs to.
        setting: what they work on.
        contenders: the first is the reference of the others.
    """

    name: str
    setting: Workload
    contenders: tuple[Contender, ...]


@dataclass(frozen=True)
class Row:
    """The speed of one contender.

    Attributes:
        contender: its name.
        env_steps: steps of environments in a turn.
        seconds: of every turn, in order.
        ratio: of its median steps per second to the reference's.
        ratio_range: lowest and highest of that ratio in a round.
    """

    contender: str
    env_steps: int
    seconds: tuple[float, ...]
    ratio: float
    ratio_range: tuple[float, float]

    def metrics(self) -> dict[str, Any]:
        """Return all fields and the rates, JSON-serialisable."""
        median = statistics.median(self.seconds)
        return {
            "contender": self.contender,
            "steps_per_second": {
                "median": self.env_steps / median,
                "slowest": self.env_steps / max(self.seconds),
                "fastest": self.env_steps / min(self.seconds),
            },
            "microseconds_per_step": median / self.env_steps * 1e6,
            "ratio": self.ratio,
            "ratio_range": list(self.ratio_range),
            "env_steps_in_a_turn": self.env_steps,
            "repeats": len(self.seconds),
            "seconds": list(self.seconds),
        }


def compare(experiment: Experiment, effort: Effort, folder: Path) -> dict[str, Any]:
    """Measure an experiment.

    Args:
        experiment: what.
        effort: how long.
        folder: for files that are not needed afterwards.

    Returns:
        JSON-serialisable: `rows`, and `not_measured` with reasons by contender.
    """
    began = time.perf_counter()
    materials = Materials(experiment.setting, folder, effort.bank_bytes)
    with contextlib.ExitStack() as stack:
        turns, not_measured = _prepare(experiment, materials, stack)
        rows = measure(turns, effort, experiment.setting.device)
    return {
        "experiment": experiment.name,
        "title": str(experiment.setting),
        "setting": dataclasses.asdict(experiment.setting),
        "reference": rows[0].contender,
        "rows": [row.metrics() for row in rows],
        "not_measured": not_measured,
        "feature_bank": materials.bank_notes,
        "seconds": time.perf_counter() - began,
    }


def _prepare(
    experiment: Experiment, materials: Materials, stack: contextlib.ExitStack
) -> tuple[dict[str, Turn], dict[str, str]]:
    turns: dict[str, Turn] = {}
    not_measured: dict[str, str] = {}
    for contender in experiment.contenders:
        try:
            turn = contender.prepare(materials)
        except NotMeasuredError as error:
            not_measured[contender.name] = str(error)
        else:
            stack.callback(turn.close)
            turns[contender.name] = turn
    return turns, not_measured


def measure(turns: Mapping[str, Turn], effort: Effort, device: str) -> list[Row]:
    """Time turns; short ones are run several times in a row, so that all take about as long."""
    runs = {name: turn.run for name, turn in turns.items()}
    tried = interleaved_latency(runs, warmup=1, repeats=1, device=device)
    single = {name: latency.median for name, latency in tried.items()}
    passes, rounds = plan_rounds(single, effort)
    latencies = interleaved_latency(
        {name: _repeated(run, passes[name]) for name, run in runs.items()},
        warmup=0,
        repeats=rounds,
        device=device,
    )
    env_steps = {name: turn.env_steps * passes[name] for name, turn in turns.items()}
    return compared_rows(env_steps, {name: each.seconds for name, each in latencies.items()})


def plan_rounds(single: Mapping[str, float], effort: Effort) -> tuple[dict[str, int], int]:
    """Return how often each contender is run in a turn, and the number of rounds.

    Args:
        single: seconds that running it once takes, by contender.
        effort: how long all may take.
    """
    share = effort.seconds / (effort.rounds * len(single))
    passes = {name: max(1, int(share / seconds)) for name, seconds in single.items()}
    round_seconds = sum(single[name] * passes[name] for name in single)
    affordable = int(effort.seconds / round_seconds)
    return passes, min(effort.rounds, max(effort.fewest_rounds, affordable))


def compared_rows(
    env_steps: Mapping[str, int], seconds: Mapping[str, Sequence[float]]
) -> list[Row]:
    """Return a row for each contender; the first is the reference.

    Args:
        env_steps: in a turn, by contender.
        seconds: of its turns, as many for each, by contender.
    """
    reference = next(iter(env_steps))
    rows = []
    for name, steps in env_steps.items():
        scale = steps / env_steps[reference]
        pairs = zip(seconds[reference], seconds[name], strict=True)
        ratios = [scale * theirs / own for theirs, own in pairs]
        ratio = scale * statistics.median(seconds[reference]) / statistics.median(seconds[name])
        row = Row(name, steps, tuple(seconds[name]), ratio, (min(ratios), max(ratios)))
        rows.append(row)
    return rows


def _repeated(run: Callable[[], object], times: int) -> Callable[[], None]:
    def turn() -> None:
        for _ in range(times):
            run()

    return turn
