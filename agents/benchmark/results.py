"""Results of runs: one row each, appended to a file of JSON lines and never overwritten.

A run that was killed left no row and is done anew; one that failed left its reason. Arrays of each
image and trained policies stand in folders beside the file.
"""

import dataclasses
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from gf_env.storage.tensors import write_atomically

FORMAT = "gf-env benchmark results 1"
_FORMAT_LINE = json.dumps({"format": FORMAT}).encode()
DONE, FAILED = "done", "failed"


class ResultsError(ValueError):
    """Results that a benchmark cannot be resumed from or reported on."""


@dataclass(frozen=True)
class Metrics:
    """What a policy did on the evaluated images, all numbers means over images.

    Attributes:
        accuracy: after each of T looks; of an episode that was stopped, after its last look.
        mean_return: of the episodes, by confidence gain less the looks' cost.
        mean_gain: the confidence gain alone; None, as the two below, in rows from before looks had
            a price, whose episodes were of full length.
        mean_looks: taken in an episode, the glance included.
        mean_multiply_adds: spent on an episode, with those of the policy where it says so.
    """

    accuracy: tuple[float, ...]
    mean_return: float
    mean_gain: float | None = None
    mean_looks: float | None = None
    mean_multiply_adds: float | None = None


Tradeoff = tuple[float, float, float]
"""A setting, the accuracy that it gives, and the mean multiply-adds of an image."""


@dataclass(frozen=True)
class Exits:
    """What a policy that never stops gives where images leave once the network is sure.

    They pay for the looks and choices until they leave, and not for a choice to stop.

    Attributes:
        budgeted: a point for each budget of the paper; see `gf_env.budgeted_curve`.
        confident: a point for each confidence, the same after all looks; see
            `gf_env.inference.budgets.confident_curve`.
    """

    budgeted: tuple[Tradeoff, ...]
    confident: tuple[Tradeoff, ...]


@dataclass(frozen=True)
class Training:
    """How a policy was trained.

    Attributes:
        steps: actions taken.
        seconds: of training, without what came before and after.
        curve: (steps, seconds, mean return, accuracy at the end) of training episodes, smoothed
            over the updates since the point before.
    """

    steps: int
    seconds: float
    curve: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Result:
    """A run's row.

    Attributes:
        key: of the run; see `agents.benchmark.suite.Run.key`.
        policy: its name when it was run.
        setting: likewise.
        seed: of learning and sampling.
        kind: see `agents.benchmark.suite.Entry.kind`.
        status: `done` or `failed`.
        reason: why it failed.
        spec: all that it depends on; see `agents.benchmark.suite.Run.spec`.
        task: which images and which network, by digests.
        seconds: of the whole run.
        made: versions, machine, and when.
        deterministic: metrics with the likeliest actions.
        sampled: metrics with sampled actions.
        multiply_adds: after each of T looks, the policy's included where it says so, of an episode
            that is not stopped.
        budgeted_area: mean accuracy over mean costs from the glance's to that of all T looks, of
            images that leave once the network is sure, with the likeliest actions; None where the
            policy decides itself when to stop.
        exits: likewise; None too in rows from before they were kept.
        training: None for what has not learned here.
    """

    key: str
    policy: str
    setting: str
    seed: int
    kind: str
    status: str
    reason: str | None
    spec: dict[str, Any]
    task: dict[str, Any]
    seconds: float
    made: dict[str, Any]
    deterministic: Metrics | None = None
    sampled: Metrics | None = None
    multiply_adds: tuple[int, ...] = ()
    budgeted_area: float | None = None
    exits: Exits | None = None
    training: Training | None = None

    def metrics(self, *, deterministic: bool = True) -> Metrics:
        """Return a finished run's metrics, with the likeliest actions or with sampled ones.

        Raises:
            ResultsError: it has none.
        """
        metrics = self.deterministic if deterministic else self.sampled
        if metrics is None:
            raise ResultsError(
                f"the row of {self.policy!r}, seed {self.seed}, says that it is done, but has no "
                "metrics; remove it and run it again"
            )
        return metrics


_ROW = TypeAdapter(Result)
"""Makes rows of what JSON has: lists become tuples, and objects records."""


class ResultsFolder:
    """A folder of results: `results.jsonl`, `arrays/`, `policies/`, `tensorboard/`.

    Args:
        path: the folder; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "results.jsonl"

    def read(self) -> list[Result]:
        """Return all rows in the order in which they were written.

        A last line that a kill cut off is left out.

        Raises:
            ResultsError: the file is damaged, or of another format.
        """
        if not self.file.exists():
            return []
        first, *rows = self.file.read_bytes().split(b"\n")[:-1] or [_FORMAT_LINE]
        if first != _FORMAT_LINE:
            raise ResultsError(
                f"expected {self.file} to begin with the format {FORMAT!r}, found {first!r}; "
                "choose another folder"
            )
        return [self._read_row(number, row) for number, row in enumerate(rows, 2)]

    def _read_row(self, number: int, row: bytes) -> Result:
        try:
            return _ROW.validate_python(json.loads(row))
        except ValueError as error:
            raise ResultsError(f"line {number} of {self.file} is damaged: {error}") from error

    def latest(self) -> dict[str, Result]:
        """Return the newest row of each run by its key."""
        return {row.key: row for row in self.read()}

    def append(self, result: Result) -> None:
        """Write a row; it is on the disk when this returns.

        Raises:
            OSError: no room or no permission.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b") as file:
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)  # a row that a kill cut off is none
            if whole == 0:
                file.write(_FORMAT_LINE + b"\n")
            file.write(json.dumps(dataclasses.asdict(result)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def arrays_path(self, key: str) -> Path:
        """Return where the arrays of each image of a run are."""
        return self.path / "arrays" / f"{key}.npz"

    def policy_stem(self, key: str) -> Path:
        """Return where a trained policy is, without its ending."""
        return self.path / "policies" / key

    def write_arrays(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Write the arrays of a run, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomically(self.arrays_path(key), buffer.getvalue())

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """Return a run's arrays by name.

        `correct` (n, T) bool, `confidence` (n, T) float32, `locations` (n, T - 1, 2) float32 in
        [0, 1], `labels` and `indices` (n,) int64; of the deterministic evaluation. Where the
        policy stops, `looks` (n,) int64 too: how many were taken, the glance included.

        Raises:
            ResultsError: they are not there or damaged.
        """
        path = self.arrays_path(key)
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except Exception as error:  # a damaged archive fails in any way there is
            raise ResultsError(
                f"the arrays of a run cannot be read from {path} ({error}); run it again"
            ) from error
