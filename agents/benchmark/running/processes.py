"""Many runs at once, each in a process of its own with one thread.

A process of its own, so that a policy that crashes takes nothing with it but its own run.
"""

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from agents.benchmark.results import Result
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.one_run import execute, make_row
from agents.benchmark.suite import Run

_POLL_SECONDS = 0.5

OnEvent = Callable[[Run, str | Result], None]
"""Is called with a line on how far a run is, and with its row once that is written."""


@dataclass
class _Running:
    """A run that has a process, since `began` on the clock `time.perf_counter`.

    The process sends lines on its progress and, at the end, its row.
    """

    run: Run
    process: BaseProcess
    receiver: Connection
    began: float


@dataclass
class Pool:
    """Does runs in processes, so many at a time.

    Attributes:
        folder: gets the rows.
        jobs: runs at a time.
        timeout: seconds after which a run has failed; None for no limit.
        on_event: see `OnEvent`.
        trust_sb3: see `agents.registry.files.load_policy`.
    """

    folder: ResultsFolder
    jobs: int
    timeout: float | None
    on_event: OnEvent
    trust_sb3: bool = False
    _running: list[_Running] = field(default_factory=list, init=False)

    def do(self, waiting: deque[Run]) -> None:
        """Do all runs in `waiting`, which is empty afterwards."""
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self.jobs:
                    self._start(waiting.popleft())
                wait([each.receiver for each in self._running], _POLL_SECONDS)
                for each in list(self._running):
                    self._check(each)
        finally:
            for each in self._running:
                each.process.kill()

    def _start(self, run: Run) -> None:
        # a forked process would inherit the threads' locks, but not the threads
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_do, args=(run, self.folder.path, sender, self.trust_sb3), daemon=True
        )
        process.start()
        sender.close()  # the process has its own; once that is closed, receiving ends
        self._running.append(_Running(run, process, receiver, time.perf_counter()))
        self.on_event(run, "starts")

    def _check(self, each: _Running) -> None:
        """Receive what a run has sent, and end it where it is done, dead or too late."""
        seconds = time.perf_counter() - each.began
        try:
            while each.receiver.poll():
                received = each.receiver.recv()
                if isinstance(received, Result):
                    self._end(each, received)
                    return
                self.on_event(each.run, received)
        except EOFError:
            each.process.join()
            code = each.process.exitcode
            reason = f"its process ended with exit code {code}"
            if code == -9:
                reason += " (killed, as by a system that is out of memory)"
            self._end(each, make_row(each.run, seconds, reason))
            return
        if self.timeout is not None and seconds > self.timeout:
            each.process.kill()
            self._end(each, make_row(each.run, seconds, f"took more than {self.timeout:g} s"))

    def _end(self, each: _Running, result: Result) -> None:
        each.process.join()
        each.receiver.close()
        self._running.remove(each)
        self.folder.append(result)
        self.on_event(each.run, result)


def _do(run: Run, path: Path, sender: Connection, trust_sb3: bool) -> None:
    """Do a run and send lines on its progress, then its row; the main function of a process."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    try:
        result = execute(run, ResultsFolder(path), sender.send, trust_sb3=trust_sb3)
    except Exception as error:  # a policy may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        reason = f"{type(error).__name__}: {error} ({place})"
        result = make_row(run, time.perf_counter() - began, reason)
    with suppress(BrokenPipeError):  # the sweep was killed
        sender.send(result)
