"""Many runs at once, each in a process of its own with one thread.

A process of its own, so that a policy that crashes takes nothing with it but its own run.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from agents.benchmark.results import Result, ResultsFolder
from agents.benchmark.running.one_run import execute, failure
from agents.benchmark.suite import Run

_POLL_SECONDS = 0.5


class Watcher:
    """Hears how a sweep goes; does nothing by itself."""

    def started(self, run: Run) -> None:
        """Tell that a run has a process."""

    def told(self, run: Run, line: str) -> None:
        """Tell how far a run is."""

    def ended(self, run: Run, result: Result) -> None:
        """Tell that a run's row is written."""


@dataclass
class _Working:
    """A run that has a process."""

    run: Run
    process: Any
    ear: Connection
    began: float


class Pool:
    """Runs in processes, so many at a time.

    Args:
        folder: gets the rows.
        jobs: runs at a time.
        timeout: seconds after which a run has failed; None for no limit.
        watcher: hears how it goes.
    """

    def __init__(
        self, folder: ResultsFolder, jobs: int, timeout: float | None, watcher: Watcher
    ) -> None:
        self._folder, self._jobs, self._timeout = folder, jobs, timeout
        self._watcher = watcher
        self._working: list[_Working] = []

    def work(self, waiting: deque[Run]) -> None:
        """Do all runs in `waiting`, which is empty afterwards."""
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
