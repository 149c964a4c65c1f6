"""Many runs at once, each in a process of its own with one thread.

A process of its own, so that a policy that crashes takes nothing with it but its own run.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from agents.benchmark.results import Result
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.executors import Work
from agents.benchmark.running.one_run import execute_safely, make_row
from agents.benchmark.suite import Run

_POLL_SECONDS = 0.5


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
    """Does runs in processes of this machine, by default as many at a time as there are cores."""

    work: Work
    _running: list[_Running] = field(default_factory=list, init=False)

    def do(self, waiting: deque[Run]) -> None:
        """Do all runs in `waiting`, which is empty afterwards."""
        jobs = self.work.jobs or available_cores()
        try:
            while waiting or self._running:
                while waiting and len(self._running) < jobs:
                    self._start(waiting.popleft())
                wait([each.receiver for each in self._running], _POLL_SECONDS)
                for each in list(self._running):
                    self._check(each)
        finally:
            for each in self._running:
                each.process.kill()

    def _start(self, run: Run) -> None:
        context = _context()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(  # type: ignore[attr-defined]  # typeshed's base has none
            target=_do, args=(run, self.work.folder.path, sender, self.work.trust_sb3), daemon=True
        )
        process.start()
        sender.close()  # the process has its own; once that is closed, receiving ends
        self._running.append(_Running(run, process, receiver, time.perf_counter()))
        self.work.on_event(run, "starts")

    def _check(self, each: _Running) -> None:
        """Receive what a run has sent, and end it where it is done, dead or too late."""
        seconds, timeout = time.perf_counter() - each.began, self.work.timeout
        try:
            while each.receiver.poll():
                received = each.receiver.recv()
                if isinstance(received, Result):
                    self._end(each, received)
                    return
                self.work.on_event(each.run, received)
        except EOFError:
            each.process.join()
            code = each.process.exitcode
            reason = f"its process ended with exit code {code}"
            if code == -9:
                reason += " (killed, as by a system that is out of memory)"
            self._end(each, make_row(each.run, seconds, reason))
            return
        if timeout is not None and seconds > timeout:
            each.process.kill()
            self._end(each, make_row(each.run, seconds, f"took more than {timeout:g} s"))

    def _end(self, each: _Running, result: Result) -> None:
        each.process.join()
        each.receiver.close()
        self._running.remove(each)
        self.work.end(each.run, result)


def _do(run: Run, path: Path, sender: Connection, trust_sb3: bool) -> None:
    """Do a run and send lines on its progress, then its row; the main function of a process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    result = execute_safely(run, ResultsFolder(path), sender.send, trust_sb3=trust_sb3)
    with suppress(BrokenPipeError):  # the sweep was killed
        sender.send(result)


def _end_with_parent() -> None:
    """End this process once the one that waits for its row is gone, killed as a rule.

    It would go on for as long as the run takes, beside the same run of a sweep that is resumed.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # only processes of a pool come here
    wait([parent.sentinel])
    os._exit(1)


def _context() -> BaseContext:
    """Return what starts processes.

    Importing what a run needs takes seconds. On Linux a server does it once and forks a process for
    each run; it has no threads, whose locks a fork of this process would inherit without them.
    Elsewhere each process imports anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([execute_safely.__module__])
    return context


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
