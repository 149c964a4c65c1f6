"""Many runs at once, each in a process of its own with one thread, and gone on with after a stop.

A process of its own, so that a policy that crashes takes nothing with it but its own run.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from filelock import FileLock, Timeout

from agents.benchmark.execution import execute, failure, task_identity, training_task
from agents.benchmark.results import FAILED, Result, ResultsError, ResultsFolder
from agents.benchmark.suite import Run, Setting, Suite
from gf_env.task import make_task

_POLL_SECONDS = 0.5


class Watcher:
    """Hears how a sweep goes; does nothing by itself."""

    def started(self, run: Run) -> None:
        """Tell that a run has a process."""

    def told(self, run: Run, line: str) -> None:
        """Tell how far a run is."""

    def ended(self, run: Run, result: Result) -> None:
        """Tell that a run's row is written."""


def runs_to_do(suite: Suite, results: dict[str, Result], *, retry: bool = False) -> list[Run]:
    """Return the runs of a suite that have no row yet.

    Args:
        suite: what is wanted.
        results: the newest rows by key.
        retry: also those that failed.
    """

    def is_open(run: Run) -> bool:
        row = results.get(run.key)
        return row is None or (retry and row.status == FAILED)

    return [run for run in suite.runs() if is_open(run)]


def check_same_task(settings: Iterable[Setting], results: Iterable[Result]) -> None:
    """Check that rows on the suite's settings are of today's images and networks.

    Raises:
        ResultsError: they are of another version.
    """
    named = ("dataset", "split", "network", "sequence_length")
    today = [task_identity(setting) for setting in settings]
    for row in results:
        for identity in today:
            same_name = all(row.task.get(key) == identity[key] for key in named)
            changed = [
                f"its {key} was {row.task.get(key)} and is now {value}"
                for key, value in identity.items()
                if row.task.get(key) != value
            ]
            if same_name and changed:
                raise ResultsError(
                    f"the results of {row.policy!r}, seed {row.seed}, are of another version of "
                    f"the task: {', '.join(changed)}. Figures of different versions cannot stand "
                    "in one table; choose another folder"
                )


def run_all(
    suite: Suite,
    folder: ResultsFolder,
    *,
    jobs: int | None = None,
    retry: bool = False,
    timeout: float | None = None,
    watcher: Watcher | None = None,
) -> None:
    """Do all runs of a suite that have no row yet.

    Args:
        suite: what to run.
        folder: gets rows and files.
        jobs: runs at a time; None for as many as there are cores.
        retry: also do those again that failed.
        timeout: seconds after which a run has failed; None for no limit.
        watcher: hears how it goes.

    Raises:
        ResultsError: the folder has results of another version of the task, or another sweep is
            writing to it.
        ValueError: jobs below 1.
    """
    jobs = available_cores() if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs must be 1 or more, got {jobs}")
    with _alone(folder):
        results = folder.latest()
        check_same_task(suite.settings, results.values())
        waiting = deque(runs_to_do(suite, results, retry=retry))
        _build_banks(waiting)
        _Pool(folder, jobs, timeout, watcher or Watcher()).work(waiting)


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _alone(folder: ResultsFolder) -> Iterator[None]:
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.path / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ResultsError(f"another benchmark is writing to {folder.path}; let it end") from error
    try:
        yield
    finally:
        lock.release()


def _build_banks(runs: Iterable[Run]) -> None:
    """Build the feature banks that runs need, once and with all cores, before they begin.

    What cannot be built is left to the runs: each of them then tells its own reason.
    """
    seen = []
    for run in runs:
        known_by = run.setting, run.entry.acts
        if "feature_bank" not in run.entry.learns or known_by in seen:
            continue
        seen.append(known_by)
        with suppress(ValueError, OSError):
            make_task(**training_task(run))


@dataclass
class _Working:
    """A run that has a process."""

    run: Run
    process: Any
    ear: Connection
    began: float


class _Pool:
    def __init__(
        self, folder: ResultsFolder, jobs: int, timeout: float | None, watcher: Watcher
    ) -> None:
        self._folder, self._jobs, self._timeout = folder, jobs, timeout
        self._watcher = watcher
        self._working: list[_Working] = []

    def work(self, waiting: deque[Run]) -> None:
        try:
            while waiting or self._working:
                while waiting and len(self._working) < self._jobs:
                    self._start(waiting.popleft())
                wait([each.ear for each in self._working], _POLL_SECONDS)
                for each in list(self._working):
                    self._attend(each)
        finally:
            for each in self._working:
                each.process.kill()

    def _start(self, run: Run) -> None:
        # a forked process would inherit the threads' locks, but not the threads
        context = multiprocessing.get_context("spawn")
        ear, mouth = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(run, self._folder.path, mouth), daemon=True)
        process.start()
        mouth.close()  # so that the ear hears the end of the process
        self._working.append(_Working(run, process, ear, time.perf_counter()))
        self._watcher.started(run)

    def _attend(self, each: _Working) -> None:
        seconds = time.perf_counter() - each.began
        try:
            while each.ear.poll():
                heard = each.ear.recv()
                if isinstance(heard, Result):
                    self._end(each, heard)
                    return
                self._watcher.told(each.run, heard)
        except EOFError:
            each.process.join()
            code = each.process.exitcode
            reason = f"its process ended with exit code {code}"
            if code == -9:
                reason += " (killed, as by a system that is out of memory)"
            self._end(each, failure(each.run, reason, seconds))
            return
        if self._timeout is not None and seconds > self._timeout:
            each.process.kill()
            self._end(each, failure(each.run, f"took more than {self._timeout:g} s", seconds))

    def _end(self, each: _Working, result: Result) -> None:
        each.process.join()
        each.ear.close()
        self._working.remove(each)
        self._folder.append(result)
        self._watcher.ended(each.run, result)


def _work(run: Run, path: Any, mouth: Connection) -> None:
    """Do a run and tell of it; the main function of a process."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    tell: Callable[[Any], None] = mouth.send
    try:
        result = execute(run, ResultsFolder(path), tell)
    except Exception as error:  # a policy may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = (
            f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
        )
        result = failure(run, reason, time.perf_counter() - began)
    with suppress(BrokenPipeError):  # the sweep was killed, and nobody hears
        tell(result)
