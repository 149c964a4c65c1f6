"""One run of a benchmark: train where there is a learner, evaluate, write, and make a row of it."""

import dataclasses
import datetime
import functools
import os
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from stable_baselines3.common.utils import set_random_seed

from agents.benchmark.results import DONE, FAILED, Exits, Metrics, Result, Tradeoff, Training
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Run, Setting
from agents.learners.base import Update
from agents.learners.supervisor import Found, Supervisor
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.files import SB3_SUFFIX
from agents.registry.learners import get_learner
from agents.registry.policies import make_policy
from agents.reporting.provenance import machine, revision, versions
from gf_env.datasets.base import dataset_digest
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.budgets import BudgetPoint, ConfidencePoint, budgeted_curve, confident_curve
from gf_env.policy import stops

OnProgress = Callable[[str], None]
"""Is called with a line on how far a run is."""

CURVE_POINTS = 100
"""Points of a learning curve at most."""

_CURVE_METRICS = ("charts/episodic_return", "charts/accuracy")
_SECONDS_BETWEEN_LINES = 1

_ARRAYS = ("correct", "confidence", "locations", "labels", "indices")
"""What is kept of each image; see `ResultsFolder.arrays`."""


def execute(
    run: Run, folder: ResultsFolder, on_progress: OnProgress, *, trust_sb3: bool = False
) -> Result:
    """Do a run and return its row; arrays and a trained policy are written, the row is not.

    Args:
        run: what is done.
        folder: gets the files.
        on_progress: is called with lines.
        trust_sb3: see `agents.registry.files.load_policy`.

    Raises:
        Exception: whatever a policy raises.
    """
    began = time.perf_counter()
    policy: Policy | PrivilegedPolicy
    training = None
    if run.entry.learner is None:
        policy = _make_policy(run, trust_sb3=trust_sb3)
    else:
        policy, training, before = _train(run, run.entry.learner, folder, on_progress)
        _save(policy, folder.policy_stem(run.key))
        began -= before
    on_progress("evaluates")
    test = _evaluate(policy, run, run.setting.split)
    # upper bounds do not sample
    sampled = (
        test
        if isinstance(policy, PrivilegedPolicy)
        else _evaluate(policy, run, run.setting.split, deterministic=False)
    )
    if training is not None:
        on_training = _metrics(_on_training(policy, run))
        training = dataclasses.replace(training, on_training=on_training)
    kept = (*_ARRAYS, "looks") if stops(policy) else _ARRAYS
    arrays = folder.write_arrays(run.key, {name: getattr(test, name) for name in kept})
    return make_row(
        run,
        time.perf_counter() - began,
        deterministic=_metrics(test),
        sampled=_metrics(sampled),
        multiply_adds=tuple(test.multiply_adds.tolist()),
        training=training,
        arrays=arrays,
        **({} if stops(policy) else _leaving_once_sure(policy, run, test)),
    )


def execute_safely(
    run: Run, folder: ResultsFolder, on_progress: OnProgress, *, trust_sb3: bool = False
) -> Result:
    """Do a run as `execute` does; where it raises, the row has the reason."""
    began = time.perf_counter()
    try:
        return execute(run, folder, on_progress, trust_sb3=trust_sb3)
    except Exception as error:  # a policy may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        reason = f"{type(error).__name__}: {error} ({place})"
        return make_row(run, time.perf_counter() - began, reason)


def make_row(run: Run, seconds: float, reason: str | None = None, **measured: Any) -> Result:
    """Return a run's row, with what was measured or, where it failed, with the reason."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return Result(
        key=run.key,
        policy=run.entry.name,
        setting=run.setting.name,
        seed=run.seed,
        kind=run.entry.kind,
        status=DONE if reason is None else FAILED,
        reason=reason,
        spec=run.spec,
        task=task_identity(run.setting),
        seconds=seconds,
        made={
            "at": now.isoformat(timespec="seconds"),
            "revision": revision(),
            **versions(),
            **machine("cpu"),
        },
        **measured,
    )


def task_identity(setting: Setting) -> dict[str, Any]:
    """Return which images and which network a setting is about; changes when they do."""
    task = make_task(**setting.task_arguments(setting.split))
    return {
        "dataset": setting.played_with.dataset,
        "split": setting.split,
        "network": setting.played_with.network,
        "sequence_length": task.rules.sequence_length,
        "images digest": dataset_digest(task.dataset)[:16],
        "network digest": task.network.digest()[:16],
    }


def training_task(run: Run) -> TaskArguments:
    """Return the arguments of the task that a run's learner learns on."""
    return {**run.setting.task_arguments(run.setting.train_split), **run.entry.training_task}


def validation_task(run: Run) -> TaskArguments:
    """Return the arguments of the task that a run's learner is validated on.

    Features are looked up where its training looks them up.
    """
    task = run.setting.task_arguments(run.setting.threshold_split)
    looked_up = run.entry.training_task.get("feature_bank", False)
    return {**task, **run.entry.evaluation_task, "feature_bank": looked_up}


def _make_policy(run: Run, *, trust_sb3: bool) -> Policy | PrivilegedPolicy:
    entry = run.entry
    assert entry.policy is not None  # an entry has a policy or a learner
    network = run.setting.open_network()
    return make_policy(
        entry.policy, network=network, seed=run.seed, settings=entry.settings, trust_sb3=trust_sb3
    )


def _train(
    run: Run, learner: str, folder: ResultsFolder, on_progress: OnProgress
) -> tuple[Policy, Training, float]:
    """Train, or resume a training that was stopped.

    Returns:
        The policy, how it was trained, and how many seconds of that were before it was resumed.
    """
    history, plateau = TrainingHistory(on_progress), run.entry.plateau
    supervisor = Supervisor(
        validate=None if plateau is None else functools.partial(_validate, run),
        plateau=plateau,
        checkpoint=folder.checkpoint_path(run.key),
    )
    began = time.perf_counter()
    config = run.learner_config()
    policy = get_learner(learner).train(training_task(run), config, history, supervisor)
    seconds = time.perf_counter() - began - supervisor.seconds_beside + supervisor.seconds_before
    training = dataclasses.replace(
        history.training(seconds),
        validation=tuple(each[1:] for each in supervisor.validations),
        at_plateau=supervisor.at_plateau,
    )
    return policy, training, supervisor.seconds_before


def _validate(run: Run, policy: Policy) -> Found:
    """Return how good a policy is on validation images."""
    assert run.entry.plateau is not None  # else nothing is validated
    images = _at_most(run.entry.plateau.num_images, run.setting.threshold_split, run)
    found = evaluate(policy, num_images=images, **validation_task(run))
    return Found(found.mean_return, float(found.accuracy[-1]))


def _on_training(policy: Policy | PrivilegedPolicy, run: Run) -> Evaluation:
    """Evaluate on images that were learned from, as many as the test has."""
    split, task = run.setting.train_split, run.entry.evaluation_task
    arguments: TaskArguments = {**run.setting.task_arguments(split), **task}
    if "num_scenes" in run.entry.training_task:
        arguments["num_scenes"] = run.entry.training_task["num_scenes"]
    wanted = run.setting.num_images or _count(run, run.setting.split)
    return evaluate(policy, num_images=_at_most(wanted, split, run), **arguments)


def _at_most(wanted: int | None, split: str, run: Run) -> int | None:
    """Return how many images to evaluate on, where there may be fewer in a split than wanted."""
    return None if wanted is None else min(wanted, _count(run, split))


def _count(run: Run, split: str) -> int:
    return len(make_task(**run.setting.task_arguments(split)).dataset)


class TrainingHistory:
    """Keeps what the curve of a training is made of; passes on a line a second at most."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self._last_line = on_progress, 0.0
        self._steps = 0
        self._points: list[tuple[float, ...]] = []

    def __call__(self, update: Update) -> None:
        """Keep an update's metrics."""
        self._steps = update.steps
        line = f"{update.steps:,} steps in {update.seconds:.0f} s"
        metrics = [update.metrics[name] for name in _CURVE_METRICS if name in update.metrics]
        if len(metrics) == len(_CURVE_METRICS):  # what learns without episodes has no curve
            self._points.append((update.steps, update.seconds, *metrics))
            line += ", return {:.3f}, accuracy {:.3f}".format(*metrics)
        if update.seconds - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = update.seconds
            self._on_progress(line)

    def training(self, seconds: float) -> Training:
        """Return what happened in so many seconds, its curve in `CURVE_POINTS` points at most."""
        if not self._points:
            return Training(self._steps, seconds, ())
        points = np.array(self._points, np.float64)
        parts = np.array_split(points, min(CURVE_POINTS, len(points)))
        curve = [(*part[-1, :2].tolist(), *part[:, 2:].mean(0).tolist()) for part in parts]
        return Training(self._steps, seconds, tuple(curve))


def _save(policy: Any, stem: Path) -> None:
    """Write a trained policy, if it can be."""
    if not hasattr(policy, "save"):
        return
    stem.parent.mkdir(parents=True, exist_ok=True)
    is_sb3 = hasattr(policy, "get_parameters")
    policy.save(stem.with_suffix(SB3_SUFFIX if is_sb3 else ".safetensors"))


def _evaluate(
    policy: Policy | PrivilegedPolicy, run: Run, split: str, *, deterministic: bool = True
) -> Evaluation:
    """Evaluate on pixels, whatever was learned on."""
    set_random_seed(run.seed)  # policies may draw from the global generators, as SB3's do
    task: TaskArguments = {**run.setting.task_arguments(split), **run.entry.evaluation_task}
    num_images = run.setting.num_images
    return evaluate(policy, num_images=num_images, deterministic=deterministic, **task)


def _metrics(evaluation: Evaluation) -> Metrics:
    return Metrics(
        accuracy=tuple(evaluation.accuracy.tolist()),
        mean_return=evaluation.mean_return,
        mean_gain=evaluation.mean_gain,
        mean_looks=evaluation.mean_looks,
        mean_multiply_adds=evaluation.mean_multiply_adds,
    )


def _leaving_once_sure(
    policy: Policy | PrivilegedPolicy, run: Run, test: Evaluation
) -> dict[str, Any]:
    """Return what a row says of images that leave once the network is sure."""
    held_out = _evaluate(policy, run, run.setting.threshold_split)
    found = test.max_probability, test.correct, test.multiply_adds
    budgeted = budgeted_curve(held_out.max_probability, *found)
    return {
        "budgeted_area": budgeted_area(budgeted, test),
        "exits": Exits(_tradeoffs(budgeted), _tradeoffs(confident_curve(*found))),
    }


def _tradeoffs(points: Sequence[BudgetPoint | ConfidencePoint]) -> tuple[Tradeoff, ...]:
    return tuple((point[0], point.accuracy, point.mean_cost) for point in points)


def budgeted_area(curve: list[BudgetPoint], evaluation: Evaluation) -> float:
    """Return the mean accuracy over mean costs from the glance's to that of all looks.

    That is the area under a curve of accuracy at budgets, whose ends are the first and the last
    look of an evaluation of the same images, divided by the width of its base.
    """
    costs, accuracy = evaluation.multiply_adds, evaluation.accuracy
    between = sorted((point.mean_cost, point.accuracy) for point in curve)
    points = [(costs[0], accuracy[0]), *between, (costs[-1], accuracy[-1])]
    at, height = map(np.array, zip(*points, strict=True))
    return float(trapezoid(height, at) / (costs[-1] - costs[0]))
