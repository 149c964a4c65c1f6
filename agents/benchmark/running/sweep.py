"""All runs of a suite that have no row yet; a sweep that was stopped is resumed by starting it."""

import logging
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from agents.benchmark.results import DONE, FAILED, Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.executors import (
    EXECUTORS,
    OnEvent,
    Work,
    check_executor,
    make_executor,
)
from agents.benchmark.running.one_run import task_identity, training_task, validation_task
from agents.benchmark.running.shards import SHARDS, WHOLE, Shard, run_keys
from agents.benchmark.suite import Run, Setting, Suite
from agents.registry.choices import one_of
from agents.registry.files import check_trusted
from agents.registry.policies import check_policy
from gf_env.configuration import configuration
from gf_env.envs.make_task import make_task
from gf_env.import_paths import is_module_path, load_object
from gf_env.storage.files import only_process

_logger = logging.getLogger("gf_env")


def runs_to_do(
    suite: Suite, results: dict[str, Result], *, retry: bool = False, shard: Shard = WHOLE
) -> list[Run]:
    """Return a shard's runs that have no row yet; those that failed too where `retry` says so.

    The newest rows are given by key, as of `ResultsFolder.latest`.
    """
    kept = {key for key, row in results.items() if not (retry and row.status == FAILED)}
    return [run for run in shard.runs(suite) if run.key not in kept]


def shards_to_do(
    suite: Suite, folder: ResultsFolder, count: int | None = None, *, retry: bool = False
) -> list[Shard]:
    """Return the shards with runs that neither a folder nor those in its `SHARDS` have a row of.

    Damaged rows are none; they are logged as warnings. Nothing is written.

    Args:
        suite: it is cut into shards.
        folder: of results.
        count: how many shards there are; None for as many as there are different runs.
        retry: a row of a run that failed is none either.

    Raises:
        ResultsError: there are results of another version of the task.
    """
    keys = run_keys(suite)
    count = count or len(keys)
    results: dict[str, Result] = {}
    for path in (folder.path, *sorted((folder.path / SHARDS).glob("*"))):
        rows, faults = ResultsFolder(path).sound(keys)
        _warn(faults)
        check_same_task(suite.settings, rows.values())
        # what failed in one may be done in another
        results |= {
            key: row for key, row in rows.items() if row.status == DONE or key not in results
        }
    waiting = {run.key for run in runs_to_do(suite, results, retry=retry)}
    shards = [Shard(number, count) for number in range(1, count + 1)]
    return [shard for shard in shards if waiting.intersection(shard.part(keys))]


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
                    f"the task: {', '.join(changed)}. Results of different versions cannot stand "
                    "in one table; choose another folder"
                )


def check_names(runs: Iterable[Run]) -> None:
    """Check what runs name before the first of them begins.

    Raises:
        ValueError: a policy or a learner that does not exist, or cannot be opened.
    """
    for entry in {run.entry.name: run.entry for run in runs}.values():
        try:
            if entry.policy is not None:
                check_policy(entry.policy)
            elif entry.learner is not None and is_module_path(entry.learner):
                load_object(entry.learner)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"policy {entry.name!r}, of which no run was begun: {error}"
            ) from error


@configuration
class SweepConfig:
    """How a suite is run.

    Attributes:
        jobs: runs at a time, as many as there are cores by default.
        retry: run again what failed.
        timeout: seconds after which a run has failed.
        trust_sb3: load models that Stable-Baselines3 saved (.zip), which may run any code.
        executor: what does the runs; local: processes of this machine; ray: tasks of the cluster
            that RAY_ADDRESS names, or of this machine.
        cpus_per_run: cores that ray reserves for a run, which has one thread all the same.
        gpus_per_run: GPUs likewise.
    """

    jobs: PositiveInt | None = None
    retry: bool = False
    timeout: PositiveFloat | None = None
    trust_sb3: bool = False
    executor: Annotated[str, one_of(EXECUTORS)] = "local"
    cpus_per_run: PositiveFloat = 1
    gpus_per_run: NonNegativeFloat = 0

    def __post_init__(self) -> None:
        """Refuse executors that do not exist, and what they would take no notice of."""
        check_executor(self.executor)
        if self.executor == "local" and (self.cpus_per_run, self.gpus_per_run) != (1, 0):
            raise ValueError(
                "cpus_per_run and gpus_per_run are reserved by the executor 'ray'; local runs are "
                "limited by jobs"
            )


def run_all(
    suite: Suite,
    folder: ResultsFolder,
    config: SweepConfig,
    on_event: OnEvent = lambda run, event: None,
    shard: Shard = WHOLE,
) -> None:
    """Do all runs of a suite's shard that have no row yet; rows and files go to the folder.

    So are those whose rows or arrays are damaged; what is wrong is logged as a warning.

    Raises:
        ResultsError: the folder has results of another version of the task.
        FolderInUseError: another sweep is writing to it.
        ValueError: a model of Stable-Baselines3 that is not trusted; see `check_names` and
            `make_executor`, too.
    """
    for entry in suite.entries:
        check_trusted(entry.policy or "", trust_sb3=config.trust_sb3)
    work = Work(
        folder,
        config.jobs,
        config.timeout,
        on_event,
        config.trust_sb3,
        config.cpus_per_run,
        config.gpus_per_run,
    )
    executor = make_executor(config.executor, work)
    with only_process(folder.path, "running a benchmark"):
        results, faults = folder.sound({run.key for run in shard.runs(suite)})
        folder.set_aside_damaged()
        _warn(faults)
        check_same_task(suite.settings, results.values())
        waiting = deque(runs_to_do(suite, results, retry=config.retry, shard=shard))
        check_names(waiting)
        _build_banks(waiting)
        executor.do(waiting)


def _warn(faults: Iterable[str]) -> None:
    for fault in faults:
        _logger.warning("%s", fault)


def _build_banks(runs: Iterable[Run]) -> None:
    """Build the feature banks that runs need, once and with all cores, before they begin.

    One that cannot be built is left to its runs: each of them then fails with the reason.
    """
    built = []
    for run in runs:
        # whatever a look costs
        place = {**run.entry.evaluation_task, "look_cost": None}
        bank = run.setting, place, run.entry.plateau is not None
        if "feature_bank" in run.entry.training_task and bank not in built:
            built.append(bank)
            with suppress(ValueError, OSError):
                make_task(**training_task(run))
                if run.entry.plateau is not None:
                    make_task(**validation_task(run))
