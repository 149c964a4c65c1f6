"""A suite's runs and the newest row of each: what is done, what failed, what is open."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.benchmark.results import DONE, FAILED, Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Run, Setting, Suite

_NOT_FINITE = "some of its figures are NaN or infinite"


@dataclass(frozen=True)
class Collected:
    """What there is of a suite in a folder.

    Attributes:
        suite: what is wanted.
        folder: where rows and arrays are.
        done: rows by the names of setting and entry, a row a seed; empty lists where there are
            none.
        failed: runs that failed and their rows.
        open: runs without a row.
    """

    suite: Suite
    folder: ResultsFolder
    done: Mapping[tuple[str, str], list[Result]]
    failed: list[tuple[Run, Result]]
    open: list[Run]

    def of(self, setting: Setting, name: str) -> list[Result]:
        """Return the rows of an entry's finished runs; none where there is no such entry."""
        return self.done.get((setting.name, name), [])

    @property
    def rows(self) -> list[Result]:
        """Each row once, though two entries may be the same run."""
        found = [row for rows in self.done.values() for row in rows]
        found += [row for _, row in self.failed]
        return list({row.key: row for row in found}.values())


def collect(suite: Suite, folder: ResultsFolder) -> Collected:
    """Sort a suite's runs by what became of them, which the newest rows of a folder say.

    Rows with metrics that are not finite, and those that do not say what their arrays do, count as
    failed.

    Raises:
        ResultsError: the rows cannot be read.
    """
    results = folder.latest()
    done: dict[tuple[str, str], list[Result]] = {
        (setting.name, entry.name): [] for setting in suite.settings for entry in suite.entries
    }
    failed, still_open = [], []
    for run in suite.runs():
        row = results.get(run.key)
        if row is None:
            still_open.append(run)
        elif row.status != DONE:
            failed.append((run, row))
        elif (fault := _fault(folder, row)) is not None:
            failed.append((run, dataclasses.replace(row, status=FAILED, reason=fault)))
        else:
            done[run.setting.name, run.entry.name].append(row)
    return Collected(suite, folder, done, failed, still_open)


def _fault(folder: ResultsFolder, row: Result) -> str | None:
    return folder.fault(row) or (None if _is_finite(row) else _NOT_FINITE)


def _is_finite(row: Result) -> bool:
    numbers = [row.budgeted_area or 0.0]
    for metrics in (row.metrics(), row.metrics(deterministic=False)):
        spent = metrics.mean_gain, metrics.mean_looks, metrics.mean_multiply_adds
        numbers += [*metrics.accuracy, metrics.mean_return, *(each or 0.0 for each in spent)]
    return bool(np.isfinite(numbers).all())


def last_accuracy(rows: list[Result]) -> NDArray[np.float64]:
    """Return (seeds,) float64, accuracy after the last look."""
    return np.array([row.metrics().accuracy[-1] for row in rows])


class Spending(NamedTuple):
    """What a run's episodes gained and spent with the likeliest actions, means over images."""

    gain: float
    looks: float
    multiply_adds: float


def spending(row: Result) -> Spending:
    """Return what a finished run gained and spent.

    Where its row does not say so, looks had no price yet and all were taken.
    """
    metrics = row.metrics()
    if (
        metrics.mean_gain is None
        or metrics.mean_looks is None
        or metrics.mean_multiply_adds is None
    ):
        return Spending(metrics.mean_return, len(metrics.accuracy), row.multiply_adds[-1])
    return Spending(metrics.mean_gain, metrics.mean_looks, metrics.mean_multiply_adds)


def right_at_the_end(
    folder: ResultsFolder, rows: list[Result], indices: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return which images were right after the last look.

    Args:
        folder: has the arrays.
        rows: of one entry on one setting, at least one.
        indices: (n,) int64, which images it should be; None for those of the first row.

    Returns:
        indices (n,) int64, rising, and (seeds, n) bool.

    Raises:
        ResultsError: arrays are not there, damaged, or of other images.
    """
    right = []
    for row in rows:
        arrays = folder.arrays(row)
        order = np.argsort(arrays["indices"])
        own = arrays["indices"][order]
        indices = own if indices is None else indices
        if not np.array_equal(own, indices):
            raise ResultsError(
                f"the arrays of {row.policy!r}, seed {row.seed}, are of other images than those "
                "before; run it again"
            )
        right.append(arrays["correct"][order, -1])
    assert indices is not None  # there is a row
    return indices, np.stack(right)
