"""Hostile files, kills, full disks and long runs, from a seed and with a length.

    python -m tests.soak.run                        # all suites, in the length of their own
    python -m tests.soak.run kills --seed 3 --length 30
    python -m tests.soak.run kills disk --jobs benchmark

What was found goes to the terminal and, with --output, to a file of JSON, where it takes the place
of what was found by the same suite with the same seed.
"""

import argparse
import dataclasses
import datetime
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.soak.processes import WORKER, arm

if __name__ == "__mp_main__":
    arm(WORKER)  # this is a process that a killed job has started

from agents.reporting.provenance import machine, revision, versions
from gf_env.storage.files import write_atomically
from tests.hostile import run as hostile
from tests.soak.disk import fill_disk
from tests.soak.jobs import Job, make_jobs
from tests.soak.kills import kill_jobs
from tests.soak.outcome import Row, Say
from tests.soak.steps import step_long
from tests.soak.together import run_together

_OnJobs = Callable[[list[Job], Path, int, int, Say], list[Row]]


class Suite(NamedTuple):
    """What is tried.

    Attributes:
        run: called with seed, length and where to say what was found; returns rows. A suite of
            jobs is called with the names of those wanted, too.
        length: the usual one.
        unit: what it counts.
        of_jobs: whether it is one of jobs.
    """

    run: Callable[..., list[Row]]
    length: int
    unit: str
    of_jobs: bool = False


def _on_jobs(run: _OnJobs, length: int, unit: str) -> Suite:
    def on_jobs(seed: int, length: int, say: Say, names: Sequence[str] = ()) -> list[Row]:
        with tempfile.TemporaryDirectory() as place:
            jobs = make_jobs(Path(place) / "materials")
            unknown = sorted({*names} - {job.name for job in jobs})
            if unknown:
                raise SystemExit(f"unknown jobs {unknown}; there are {[job.name for job in jobs]}")
            wanted = [job for job in jobs if not names or job.name in names]
            return run(wanted, Path(place), seed, length, say)

    return Suite(on_jobs, length, unit, of_jobs=True)


SUITES = {
    "files": Suite(hostile.run, 2000, "variants of all loaders' files"),
    "kills": _on_jobs(kill_jobs, 30, "kills of each job"),
    "together": _on_jobs(run_together, 5, "times that each job runs twice at once"),
    "disk": _on_jobs(fill_disk, 10, "full disks of each job"),
    "steps": Suite(step_long, 1_000_000, "steps in each form"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run suites; return how many faults there were, at most 100."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    about = ", ".join(f"{name} ({each.length:,} {each.unit})" for name, each in SUITES.items())
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"all by default: {about}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--length", type=int, help="in the place of a suite's own")
    parser.add_argument(
        "--jobs", nargs="+", default=(), metavar="JOB", help="of suites of jobs these alone"
    )
    parser.add_argument("--output", type=Path, help="file of JSON")
    given = parser.parse_args(arguments)
    unknown = sorted({*given.suites} - {*SUITES})
    if unknown:
        parser.error(f"unknown suites {unknown}; there are {[*SUITES]}")
    faults = 0
    for name in given.suites or SUITES:
        found = run_suite(name, given.seed, given.length or SUITES[name].length, given.jobs)
        faults += sum(len(row["faults"]) for row in found["rows"])
        if given.output is not None:
            _keep(given.output, found)
    print(f"{faults} faults")
    return min(faults, 100)


def run_suite(name: str, seed: int, length: int, jobs: Sequence[str] = ()) -> dict[str, Any]:
    """Run a suite and return what it found, JSON-serialisable."""

    def say(line: str) -> None:
        print(f"{name}: {line}", flush=True)

    began = time.perf_counter()
    about = {"revision": revision(), "versions": versions(), "machine": machine("cpu")}
    suite = SUITES[name]
    rows = suite.run(seed, length, say, jobs) if suite.of_jobs else suite.run(seed, length, say)
    return {
        "suite": name,
        "seed": seed,
        "length": length,
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began),
        **about,
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def _keep(path: Path, found: dict[str, Any]) -> None:
    """Put what a suite found into a file, in the order of suites and seeds."""
    kept = json.loads(path.read_text()) if path.exists() else []
    same = found["suite"], found["seed"]
    kept = [each for each in kept if (each["suite"], each["seed"]) != same] + [found]
    kept.sort(key=lambda each: ([*SUITES].index(each["suite"]), each["seed"]))
    write_atomically(path, (json.dumps(kept, indent=1) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(main())
