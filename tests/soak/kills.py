"""Kills: at every rename, at random writes and at random moments; then the job is resumed.

Nothing may be lost, be different or be left behind: the folder has to hold what it holds after a
job that was never killed.
"""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.soak.jobs import Job, content, differences
from tests.soak.outcome import Row, Say
from tests.soak.processes import Ended, Moment, Started, events_in

_FEWEST_AT_RANDOM, _SHORT = 6, 6
"""Kills beside those at renames, and up to how many the form is a short one."""
_LARGEST_SHARE = 1.1
"""Random moments are within this share of how long the job takes."""

Events = list[tuple[str, str, int]]


def kill_jobs(jobs: list[Job], place: Path, seed: int, length: int, say: Say) -> list[Row]:
    """Kill each job so often at least, and as often as there are renames; return a row of each."""
    return [_kill_job(job, place, np.random.default_rng(seed), length, say) for job in jobs]


def reference(job: Job, place: Path, log: Path | None = None) -> tuple[Path, Ended]:
    """Do a job that nothing disturbs; return its folder, and how it ended.

    Raises:
        RuntimeError: it failed.
    """
    folder = prepared(job, place / "whole")
    ended = Started(job.do, folder, log=log).end()
    if ended.status != 0:
        raise RuntimeError(f"{job.name} failed: {ended.printed}")
    return folder, ended


def prepared(job: Job, folder: Path) -> Path:
    """Return an empty folder with what a job starts from."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job.prepare(folder)
    return folder


def _kill_job(job: Job, place: Path, rng: np.random.Generator, length: int, say: Say) -> Row:
    log = place / "events.log"
    log.unlink(missing_ok=True)
    whole, ended = reference(job, place, log)
    expected, events = content(whole), list(events_in(log))
    faults, kills = [], 0
    chosen = _renames(events, length, rng)
    fewest = length if length <= _SHORT else max(length, len(chosen) + _FEWEST_AT_RANDOM)
    for moment in itertools.chain(chosen, _at_random(events, ended.seconds, rng)):
        if kills >= fewest:
            break
        folder = prepared(job, place / "killed")
        stopped = Started(job.do, folder, moment).end()
        again = Started(job.do, folder).end()
        kills += stopped.status < 0
        fault = _fault(expected, folder, stopped, again)
        if fault:
            faults.append(f"killed {moment}: {fault}")
            say(f"{job.name}, {faults[-1]}")
    renames = sum(count for _, event, count in events if event == "replace")
    say(f"{job.name}: {kills} kills, {len(faults)} faults")
    return Row(job.name, kills, tuple(faults), {"renames": renames})


def _fault(expected: dict[str, object], folder: Path, stopped: Ended, again: Ended) -> str:
    if stopped.status > 0:
        return f"it failed before it was killed: {stopped.printed[-300:]}"
    if again.status != 0:
        return f"it could not be resumed: {again.printed[-300:]}"
    return "; ".join(differences(expected, content(folder))[:3])


def _renames(events: Events, length: int, rng: np.random.Generator) -> list[Moment]:
    """Return every rename, before and after it, in a random order; a short form has only some."""
    moments = [
        Moment(who, event, number, after)
        for who, event, count in events
        if event == "replace"
        for number in range(1, count + 1)
        for after in (False, True)
    ]
    chosen = [moments[place] for place in rng.permutation(len(moments))]
    return chosen if length > _SHORT else chosen[: max(1, length - 1)]


def _at_random(events: Events, seconds: float, rng: np.random.Generator) -> Iterator[Moment]:
    """Yield moments without end: two of three by the clock, one at a write to the disk."""
    writes = [(who, count) for who, event, count in events if event == "fsync"]
    while True:
        for _ in range(2):
            yield Moment(seconds=float(rng.uniform(0, _LARGEST_SHARE * seconds)))
        if writes:
            who, count = writes[rng.integers(len(writes))]
            number, after = int(rng.integers(1, count + 1)), bool(rng.integers(2))
            yield Moment(who, "fsync", number, after)
