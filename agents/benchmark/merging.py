"""Merges folders of results, such as those of a suite's shards, into one.

A run is known by its key, and what it gave by its figures and arrays; times, machines and names are
none of that. The row of a run is written after its files, so that a merge that was stopped is
resumed by the same command. Sources are only read.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark.agreement import figures_of
from agents.benchmark.results import DONE, Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.sweep import check_same_task
from agents.benchmark.suite import Suite
from gf_env.storage.files import only_process, read_file, short, write_atomically

_logger = logging.getLogger("gf_env")


@dataclass(frozen=True)
class _Found:
    """A run's row in a folder."""

    folder: ResultsFolder
    row: Result

    @property
    def files(self) -> list[Path]:
        """The files of the run, relative to the folder: its policy and its arrays."""
        arrays, stem = self.folder.arrays_path(self.row.key), self.folder.policy_stem(self.row.key)
        files = [
            *sorted(stem.parent.glob(f"{stem.name}.*")),
            *([arrays] if arrays.exists() else []),
        ]
        return [file.relative_to(self.folder.path) for file in files]

    @property
    def worth(self) -> tuple[bool, int]:
        """What is kept goes by this: a run that is done, and then one that has its files."""
        return self.row.status == DONE, len(self.files)


def merge(suite: Suite, sources: Sequence[ResultsFolder], into: ResultsFolder) -> int:
    """Merge the newest rows of all runs in `sources`, their arrays and policies; return how many.

    Rows are written in the suite's order, and after them those of other suites. A run that several
    folders have is kept once: that of `into` before those of the sources, in the order given. One
    that failed gives way to one that is done. What is damaged is logged as a warning, and left out.

    Args:
        suite: what the rows are of.
        sources: folders of results; they stay as they are.
        into: gets what it does not have yet.

    Raises:
        ValueError: a source is no folder, or the one that is merged into.
        ResultsError: two folders say different things of a run, or have results of another version
            of the task; nothing was written.
        FolderInUseError: another process is writing to `into`.
        OSError: no room or no permission; the same call resumes it.
    """
    for source in sources:
        if not source.path.is_dir():
            raise ValueError(f"expected a folder of results, found none at {source.path}")
        if source.path.resolve() == into.path.resolve():
            raise ValueError(f"{into.path} cannot be merged into itself; choose another --output")
    with only_process(into.path, "merging results"):
        found = _find(suite, (into, *sources))
        chosen = [_choose(each) for each in found.values()]
        into.set_aside_damaged()
        missing = [each for each in chosen if each.folder is not into]
        for each in missing:
            _copy(each, into)
    return len(missing)


def _find(suite: Suite, folders: Sequence[ResultsFolder]) -> dict[str, list[_Found]]:
    """Return what folders have of each run, by its key; runs of the suite come first.

    Raises:
        ResultsError: see `merge`.
    """
    found: dict[str, list[_Found]] = {run.key: [] for run in suite.runs()}
    for folder in folders:
        rows, faults = folder.sound(folder.latest().keys())
        for fault in faults:
            _logger.warning("%s", fault)
        check_same_task(suite.settings, rows.values())
        for key, row in rows.items():
            found.setdefault(key, []).append(_Found(folder, row))
    return {key: each for key, each in found.items() if each}


def _choose(found: Sequence[_Found]) -> _Found:
    """Return what is kept of a run.

    Raises:
        ResultsError: two folders say different things of it.
    """
    best = max(found, key=lambda each: each.worth)  # the first of equal ones
    for other in found:
        if other.row.status == DONE:
            _check_equal(best, other)
    return best


def _check_equal(one: _Found, other: _Found) -> None:
    """Check that two rows say the same of a run.

    Raises:
        ResultsError: they do not; it names the first figure that differs.
    """
    for name, ours, theirs in _differences(one, other):
        raise ResultsError(
            f"{one.row.policy!r}, seed {one.row.seed}, on {one.row.setting!r} is in two folders "
            f"that differ in {name}: {short(ours)} in {one.folder.path} and {short(theirs)} in "
            f"{other.folder.path}. Nothing was merged; leave one of the folders out"
        )


def _differences(one: _Found, other: _Found) -> Iterator[tuple[str, Any, Any]]:
    """Yield names of figures that differ, and both values; of arrays the first ones."""
    ours, theirs = figures_of(one.row), figures_of(other.row)
    for name in {**ours, **theirs}:
        left, right = (each.get(name, "nothing") for each in (ours, theirs))
        if repr(left) != repr(right):  # NaN is like NaN
            yield name, left, right
    stored = [each.folder.arrays_path(each.row.key).exists() for each in (one, other)]
    if not all(stored) or (one.row.arrays == other.row.arrays is not None):
        return
    ours, theirs = one.folder.arrays(one.row), other.folder.arrays(other.row)
    for name in sorted({*ours} | {*theirs}):
        pair = [np.asarray(arrays.get(name, ())).ravel() for arrays in (ours, theirs)]
        for place, (left, right) in enumerate(zip_longest(*map(np.ndarray.tolist, pair))):
            if repr(left) != repr(right):
                yield f"its array {name!r} at {place}", left, right


def _copy(each: _Found, into: ResultsFolder) -> None:
    """Copy a run: its row comes last, so that what has a row is whole.

    Raises:
        OSError: no room or no permission, or a file that is gone meanwhile.
    """
    for file in each.files:
        write_atomically(into.path / file, read_file(each.folder.path / file))
    into.append(each.row)
