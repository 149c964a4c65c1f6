"""What does the runs of a sweep: a table of executors, and what each of them is given.

A further executor is a file with a class like `agents.benchmark.running.processes.Pool`, and a line
in `EXECUTORS`. Where its workers are, `agents.benchmark.running.one_run.execute_safely` does a run
and makes its row; `Work.end` writes that, in the process of the sweep.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agents.benchmark.results import DONE, Result
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Run
from gf_env.import_paths import load_object

EXECUTORS = {
    "local": "agents.benchmark.running.processes:Pool",
    "ray": "agents.benchmark.running.ray_cluster:Cluster",
}
"""Their classes by name. Named and not imported: an engine that is not used need not be there."""

OnEvent = Callable[[Run, str | Result], None]
"""Is called with a line on how far a run is, and with its row once that is written."""


@dataclass(frozen=True)
class Work:
    """What an executor needs to know of a sweep, whatever does the runs.

    Attributes:
        folder: gets the rows.
        jobs: runs at a time; None for as many as the executor has room for.
        timeout: seconds after which a run has failed; None for no limit.
        on_event: see `OnEvent`.
        trust_sb3: see `agents.registry.files.load_policy`.
        cpus_per_run: cores that are reserved for a run; it has one thread all the same.
        gpus_per_run: GPUs likewise.
    """

    folder: ResultsFolder
    jobs: int | None
    timeout: float | None
    on_event: OnEvent
    trust_sb3: bool = False
    cpus_per_run: float = 1
    gpus_per_run: float = 0

    def end(self, run: Run, result: Result) -> None:
        """Write the row of a run that has ended, and tell of it.

        What its training could be resumed from is then needed no more, unless it failed.
        """
        self.folder.append(result)
        if result.status == DONE:
            self.folder.checkpoint_path(run.key).unlink(missing_ok=True)
        self.on_event(run, result)


class Executor(Protocol):
    """Does runs."""

    def do(self, waiting: deque[Run]) -> None:
        """Do all runs in `waiting`, which is empty afterwards.

        Each run is ended once, with its row: done, or failed where its policy raised, its process
        ended or it took too long.
        """


def make_executor(name: str, work: Work) -> Executor:
    """Return the executor of a name.

    Raises:
        ValueError: there is none of this name, or what it needs is not installed.
    """
    check_executor(name)
    made: Executor = load_object(EXECUTORS[name])(work)
    return made


def check_executor(name: str) -> None:
    """Check the name of an executor.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in EXECUTORS:
        raise ValueError(f"unknown executor {name!r}; there are {sorted(EXECUTORS)}")
