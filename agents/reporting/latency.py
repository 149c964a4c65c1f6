"""How long something takes, in seconds; `gf_env.network.cost` counts multiply-adds."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Latency:
    """The seconds that every counted turn took, in order."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the counted turns."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """Of the quickest turn."""
        return min(self.seconds)

    @property
    def maximum(self) -> float:
        """Of the slowest turn."""
        return max(self.seconds)


def measure_latency(
    run: Callable[[], object],
    *,
    warmup: int = 3,
    repeats: int = 15,
    device: str | torch.device = "cpu",
) -> Latency:
    """Return how long `run` takes; arguments and errors as of `interleaved_latency`."""
    runs = {"run": run}
    return interleaved_latency(runs, warmup=warmup, repeats=repeats, device=device)["run"]


def interleaved_latency(
    runs: Mapping[str, Callable[[], object]],
    *,
    warmup: int = 3,
    repeats: int = 15,
    device: str | torch.device = "cpu",
) -> dict[str, Latency]:
    """Measure several callables in turn, round by round, so that noise affects all alike.

    Args:
        runs: what is measured, by name.
        warmup: rounds that are not counted, 0 or more.
        repeats: rounds that are, 1 or more.
        device: where they work; a CUDA device is waited for before and after every turn.

    Raises:
        TypeError: something that cannot be called.
        ValueError: nothing to measure, or too few rounds.
    """
    if not runs:
        raise ValueError("nothing to measure: expected one callable or more, got none")
    for name, run in runs.items():
        if not callable(run):
            raise TypeError(
                f"expected {name!r} to be a callable without arguments, got {type(run).__name__}; "
                "wrap the work in a lambda"
            )
    if warmup < 0 or repeats < 1:
        raise ValueError(
            f"warmup must be 0 or more and repeats 1 or more, got {warmup} and {repeats}"
        )
    device = torch.device(device)
    turns = [
        {name: _time(run, device) for name, run in runs.items()} for _ in range(warmup + repeats)
    ]
    return {name: Latency(tuple(turn[name] for turn in turns[warmup:])) for name in runs}


def _time(run: Callable[[], object], device: torch.device) -> float:
    _wait_for(device)
    start = time.perf_counter()
    run()
    _wait_for(device)  # the device may still work when the call has returned
    return time.perf_counter() - start


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
