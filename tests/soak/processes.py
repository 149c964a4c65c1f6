"""Jobs in processes of their own, which die at a chosen moment with all that they have started.

The process is forked, so that it need not import anything; what it starts itself, such as the runs
of a benchmark, is armed when it imports the main module, `tests.soak.run`.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_KILL, _LOG = "GF_SOAK_KILL", "GF_SOAK_LOG"
EVENTS = ("replace", "fsync")
MAIN, WORKER = "main", "worker"
PATIENCE = 600.0
"""Seconds until a job hangs."""


@dataclass(frozen=True)
class Moment:
    """When a job dies: at an event in a process, or after some seconds.

    Attributes:
        who: the process of the job, or one that it started.
        event: `replace`, which is how files are renamed, or `fsync`.
        number: of the event in that process, from 1.
        after: whether the event happens first.
        seconds: in the place of an event.
    """

    who: str = MAIN
    event: str = ""
    number: int = 0
    after: bool = False
    seconds: float | None = None

    def __str__(self) -> str:
        """For people."""
        if self.seconds is not None:
            return f"after {self.seconds:.2f} s"
        return f"{'after' if self.after else 'before'} {self.event} {self.number} of {self.who}"


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        status: its exit status; negative where a signal ended it.
        printed: all that it said.
        seconds: that it took.
    """

    status: int
    printed: str
    seconds: float


class Started:
    """A job in a process of its own.

    Args:
        do: the job; returns the exit status.
        folder: where it writes.
        moment: when it dies; None lets it end.
        log: file that gets a line for each event, if any.
    """

    def __init__(
        self,
        do: Callable[[Path], int],
        folder: Path,
        moment: Moment | None = None,
        log: Path | None = None,
    ) -> None:
        handle, printed = tempfile.mkstemp(".txt")  # not in the folder, whose disk may be full
        os.close(handle)
        self._printed = Path(printed)
        self._moment, self._began = moment, time.monotonic()
        context = multiprocessing.get_context("fork")
        arguments = (do, folder, moment, log, self._printed)
        self._process: BaseProcess = context.Process(target=_do, args=arguments)
        self._process.start()

    def end(self) -> Ended:
        """Wait until it has ended, as it has to by itself or because it is killed."""
        seconds = PATIENCE if self._moment is None or self._moment.seconds is None else None
        self._process.join(self._moment.seconds if seconds is None and self._moment else seconds)
        hangs = self._process.is_alive() and seconds is not None
        if self._process.is_alive() and self._process.pid is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has just been made, and has no group of its own yet
                self._process.kill()
        self._process.join()
        took = time.monotonic() - self._began
        printed = self._printed.read_text(errors="replace")
        self._printed.unlink(missing_ok=True)
        status = self._process.exitcode
        assert status is not None
        return Ended(status, printed + ("\nhangs" if hangs else ""), took)


def _do(
    do: Callable[[Path], int], folder: Path, moment: Moment | None, log: Path | None, printed: Path
) -> None:
    """Do a job; the main function of a process."""
    os.setsid()  # so that all it starts dies with it
    handle = os.open(printed, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.stdout = sys.stderr = os.fdopen(handle, "w", buffering=1)  # tests have put others there
    for name, value in ((_KILL, moment and _described(moment)), (_LOG, log and str(log))):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value
    arm(MAIN)
    try:
        status = do(folder)
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _described(moment: Moment) -> str:
    return f"{moment.who} {moment.event} {moment.number} {int(moment.after)}"


def arm(who: str) -> None:
    """Count events in this process, and die at one, as the environment says."""
    kill, log = os.environ.get(_KILL, "").split(), os.environ.get(_LOG)
    if not kill and not log:
        return
    counts = dict.fromkeys(EVENTS, 0)

    def at(event: str, happens: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        counts[event] += 1
        chosen = kill[:3] == [who, event, str(counts[event])]
        if chosen and kill[3] == "0":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        result = happens(*arguments, **more)
        if log:
            with open(log, "a") as file:
                file.write(f"{who} {event} {counts[event]}\n")
        if chosen:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        return result

    for event in EVENTS:
        usual = getattr(os, event)
        setattr(os, event, lambda *a, event=event, usual=usual, **k: at(event, usual, *a, **k))


def events_in(log: Path) -> Iterator[tuple[str, str, int]]:
    """Yield which process had how many events of which kind at most."""
    counts: dict[tuple[str, str], int] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in log.read_text().splitlines():
            who, event, number = line.split()
            counts[who, event] = max(counts.get((who, event), 0), int(number))
    yield from ((*key, count) for key, count in sorted(counts.items()))
