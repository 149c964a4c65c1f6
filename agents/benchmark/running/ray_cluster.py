"""Many runs at once on a Ray cluster, each a task of its own with one thread.

A run is done in a folder of the worker's own, and its files come back with its row, so machines
need no common disk. A run whose worker is lost, with its machine or alone, is done again.
"""

import itertools
import logging
import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from agents.benchmark.results import Result
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.executors import Work
from agents.benchmark.running.one_run import execute_safely, make_row
from agents.benchmark.running.processes import available_cores
from agents.benchmark.suite import Run
from gf_env.storage.files import write_atomically

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ImportError(
        f"the executor 'ray' needs Ray ({error}); install it with: pip install ray"
    ) from error

ADDRESS = "RAY_ADDRESS"
"""The variable that names a cluster, as everywhere in Ray."""
MAX_RETRIES = 3
"""How often a run is done again whose worker was lost."""

_POLL_SECONDS = 0.5
_logger = logging.getLogger("gf_env")

Files = dict[str, bytes]
"""Contents of files by their path in a folder of results."""


@dataclass
class _Running:
    """A run that was handed to Ray, as the `number`-th.

    It began at `began` on the clock `time.perf_counter`, None while it waits; anew where it is done
    again.
    """

    run: Run
    number: int
    began: float | None = None
    is_late: bool = False


@dataclass
class Cluster:
    """Does runs as tasks of the cluster that `RAY_ADDRESS` names, or else of this machine.

    All runs are handed over at once, unless `jobs` says how many; Ray begins as many as there is
    room for.

    Raises:
        ValueError: no machine has what a run reserves.
        ConnectionError: there is no cluster at the address.
    """

    work: Work
    _running: dict[Any, _Running] = field(default_factory=dict, init=False)

    def do(self, waiting: deque[Run]) -> None:
        """Do all runs in `waiting`, which is empty afterwards."""
        began_here = not ray.is_initialized()
        if began_here:
            _connect()
        try:
            self._check_room()
            self._do(waiting, _begin_lines())
        finally:
            for task in self._running:
                ray.cancel(task, force=True)
            if began_here:
                ray.shutdown()

    def _do(self, waiting: deque[Run], lines: Any) -> None:
        work = self.work
        begin = ray.remote(_do).options(
            num_cpus=work.cpus_per_run, num_gpus=work.gpus_per_run, max_retries=MAX_RETRIES
        )
        numbers = itertools.count()
        while waiting or self._running:
            while waiting and (work.jobs is None or len(self._running) < work.jobs):
                run, number = waiting.popleft(), next(numbers)
                task = begin.remote(run, number, lines, os.getcwd(), work.trust_sb3)
                self._running[task] = _Running(run, number)
            done, _ = ray.wait(list(self._running), timeout=_POLL_SECONDS)
            self._hear(ray.get(lines.take.remote()))
            for task in done:
                self._end(task)
            self._cancel_late()

    def _hear(self, lines: list[tuple[int, str]]) -> None:
        running = {each.number: each for each in self._running.values()}
        for number, line in lines:
            if number in running:  # what comes after a row is late
                if line == _STARTS:
                    running[number].began = time.perf_counter()
                self.work.on_event(running[number].run, line)

    def _cancel_late(self) -> None:
        for task, each in self._running.items():
            timeout = self.work.timeout
            is_late = timeout is not None and _seconds(each) > timeout
            if is_late and not each.is_late:
                each.is_late = True
                ray.cancel(task, force=True)

    def _end(self, task: Any) -> None:
        """Write the files of a run and end it."""
        each = self._running.pop(task)
        try:
            result, files = ray.get(task)
        except RayError as error:
            reason = _reason(error)
            if each.is_late:
                reason = f"took more than {self.work.timeout:g} s"
            result, files = make_row(each.run, _seconds(each), reason), {}
        for path, content in files.items():
            write_atomically(self.work.folder.path / path, content)
        self.work.end(each.run, result)

    def _check_room(self) -> None:
        """Refuse what would wait forever; a cluster that grows by itself may come to have it."""
        wanted = {"CPU": self.work.cpus_per_run, "GPU": self.work.gpus_per_run}
        machines = [
            {kind: node["Resources"].get(kind, 0) for kind in wanted}
            for node in ray.nodes()
            if node["Alive"]
        ]
        if any(all(has[kind] >= wanted[kind] for kind in wanted) for has in machines):
            return
        message = (
            f"no machine has the {wanted['CPU']:g} CPUs and {wanted['GPU']:g} GPUs that each run "
            f"reserves; there are {machines}"
        )
        if ADDRESS not in os.environ:
            raise ValueError(message)
        _logger.warning("%s", message)


_STARTS = "starts"


class _Lines:
    """Keeps what workers say of their runs until it is asked for; an actor of Ray."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str]] = []

    def add(self, number: int, line: str) -> None:
        self._lines.append((number, line))

    def take(self) -> list[tuple[int, str]]:
        lines, self._lines = self._lines, []
        return lines


def _begin_lines() -> Any:
    """Begin it on the machine of this process, so that it is not lost with a worker's."""
    here = ray.get_runtime_context().get_node_id()
    lines = ray.remote(_Lines).options(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
    )
    return lines.remote()


def _do(
    run: Run, number: int, lines: Any, working_folder: str, trust_sb3: bool
) -> tuple[Result, Files]:
    """Do a run and return its row and its files; a task of Ray.

    The worker's folder is that of the sweep, where that is there, so that names of files and
    modules mean the same.
    """
    if os.path.isdir(working_folder):
        os.chdir(working_folder)
    torch.set_num_threads(1)
    lines.add.remote(number, _STARTS)
    with tempfile.TemporaryDirectory() as path:
        result = execute_safely(
            run,
            ResultsFolder(Path(path)),
            lambda line: lines.add.remote(number, line),
            trust_sb3=trust_sb3,
        )
        files = [each for each in Path(path).rglob("*") if each.is_file()]
        return result, {each.relative_to(path).as_posix(): each.read_bytes() for each in files}


def _connect() -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    if ADDRESS in os.environ:
        ray.init(address=os.environ[ADDRESS], **quiet)
    else:
        # a cluster that happens to run on this machine is somebody else's
        ray.init("local", num_cpus=available_cores(), include_dashboard=False, **quiet)


def _seconds(each: _Running) -> float:
    return 0.0 if each.began is None else time.perf_counter() - each.began


def _reason(error: RayError) -> str:
    lines = str(error).strip().split("\n")
    if isinstance(error, RayTaskError):  # it did not come as far as the run
        return f"its worker could not begin it: {lines[-1]}"
    return f"its worker was lost, {MAX_RETRIES} retries included: {lines[0]}"
