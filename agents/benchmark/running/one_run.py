"""One run of a benchmark: train where there is a learner, evaluate, write, and tell in a row."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from stable_baselines3.common.utils import set_random_seed

from agents.benchmark.results import DONE, FAILED, Figures, Result, ResultsFolder, Training
from agents.benchmark.suite import Run, Setting
from agents.learners.base import Update
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.files import SB3_SUFFIX, open_network
from agents.registry.learners import get_learner, make_config
from agents.registry.policies import make_policy
from agents.reporting.provenance import machine, versions
from gf_env.datasets import load_dataset
from gf_env.datasets.base import dataset_digest
from gf_env.envs.make_task import TaskArguments
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.budgets import BudgetPoint, budgeted_curve

CURVE_POINTS = 100
_CURVES = ("charts/episodic_return", "charts/accuracy")
Report = Callable[[str], None]


def task_identity(setting: Setting) -> dict[str, Any]:
    """Return which images and which network a setting is about; changes when they do.

    Raises:
        ValueError: unknown network or data set.
    """
    network = open_network(setting.network)
    images = load_dataset(setting.dataset, setting.split, like=network.config.image_spec)
    return {
        "dataset": setting.dataset,
        "split": setting.split,
        "network": setting.network,
        "sequence_length": setting.sequence_length or network.config.sequence_length,
        "images digest": dataset_digest(images)[:16],
        "network digest": network.digest()[:16],
    }


def training_task(run: Run) -> TaskArguments:
    """Return the task that a run's learner learns on.

    Raises:
        ValueError: unknown network.
    """
    setting = run.setting
    arguments: TaskArguments = {
        "network": open_network(setting.network),
        "dataset": setting.dataset,
        "sequence_length": setting.sequence_length,
        "split": setting.train_split,
    }
    return {**arguments, **run.entry.learns}


def execute(run: Run, folder: ResultsFolder, report: Report) -> Result:
    """Do a run and return its row; arrays and a trained policy are written to the folder.

    Args:
        run: which.
        folder: gets the files, but not the row.
        report: called with a line on how far it is.

    Raises:
        Exception: whatever a policy raises.
    """
    began = time.perf_counter()
    report("starts")
    policy, training = _policy(run, report)
    if training is not None:
        _save(policy, folder.policy_stem(run.key))
    report("evaluates")
    test = _evaluate(policy, run, run.setting.split, deterministic=True)
    sampled = _evaluate(policy, run, run.setting.split, deterministic=False)
    held_out = _evaluate(policy, run, run.setting.threshold_split, deterministic=True)
    curve = budgeted_curve(
        held_out.max_probability, test.max_probability, test.correct, test.multiply_adds
    )
    folder.write_arrays(run.key, _arrays(test))
    return describe(
        run,
        DONE,
        time.perf_counter() - began,
        deterministic=_figures(test),
        sampled=_figures(sampled),
        multiply_adds=tuple(test.multiply_adds.tolist()),
        budgeted_area=budgeted_area(curve, test),
        training=training,
    )


def failure(run: Run, reason: str, seconds: float) -> Result:
    """Return the row of a run that failed."""
    return describe(run, FAILED, seconds, reason=reason)


def describe(
    run: Run, status: str, seconds: float, *, reason: str | None = None, **figures: Any
) -> Result:
    """Return a run's row."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return Result(
        key=run.key,
        policy=run.entry.name,
        setting=run.setting.name,
        seed=run.seed,
        kind=run.entry.kind,
        status=status,
        reason=reason,
        spec=run.spec,
        task=task_identity(run.setting),
        seconds=seconds,
        made={"at": now.isoformat(timespec="seconds"), **versions(), **machine("cpu")},
        **figures,
    )


def budgeted_area(curve: list[BudgetPoint], evaluation: Evaluation) -> float:
    """Return the mean accuracy over mean costs from the glance's to that of all looks.

    Args:
        curve: accuracy at budgets; see `gf_env.inference.budgeted_curve`.
        evaluation: of the same images; its first and last look are the curve's ends.

    Returns:
        The area under the curve, divided by the width of its base.
    """
    costs, accuracy = evaluation.multiply_adds, evaluation.accuracy
    between = sorted((point.mean_cost, point.accuracy) for point in curve)
    points = [(costs[0], accuracy[0]), *between, (costs[-1], accuracy[-1])]
    at, height = map(np.array, zip(*points, strict=True))
    return float(trapezoid(height, at) / (costs[-1] - costs[0]))


def _policy(run: Run, report: Report) -> tuple[Policy | PrivilegedPolicy, Training | None]:
    entry, setting = run.entry, run.setting
    if entry.learner is None:
        assert entry.policy is not None  # an entry has one of both
        network = open_network(setting.network)
        policy = make_policy(entry.policy, network=network, seed=run.seed, settings=entry.settings)
        return policy, None
    learner = get_learner(entry.learner)
    config = make_config(learner, entry.learner, entry.settings, run.seed)
    history = _History(report)
    began = time.perf_counter()
    trained = learner.train(training_task(run), config, history)
    return trained, history.training(time.perf_counter() - began)


class _History:
    """Hears of a training's updates."""

    def __init__(self, report: Report) -> None:
        self._report, self._told, self._steps = report, 0.0, 0
        self._updates: list[tuple[Any, ...]] = []

    def __call__(self, update: Update) -> None:
        self._steps = update.steps
        said = f"{update.steps:,} steps in {update.seconds:.0f} s"
        metrics = [update.metrics[name] for name in _CURVES if name in update.metrics]
        if len(metrics) == len(_CURVES):  # what learns without episodes has no curve
            self._updates.append((update.steps, update.seconds, *metrics))
            said += ", return {:.3f}, accuracy {:.3f}".format(*metrics)
        if update.seconds - self._told > 1:
            self._told = update.seconds
            self._report(said)

    def training(self, seconds: float) -> Training:
        """Return what happened, in `CURVE_POINTS` points at most."""
        if not self._updates:
            return Training(self._steps, seconds, ())
        updates = np.array(self._updates, np.float64)
        parts = np.array_split(updates, min(CURVE_POINTS, len(updates)))
        curve = [(*part[-1, :2].tolist(), *part[:, 2:].mean(0).tolist()) for part in parts]
        return Training(self._steps, seconds, tuple(curve))


def _evaluate(
    policy: Policy | PrivilegedPolicy, run: Run, split: str, *, deterministic: bool
) -> Evaluation:
    """Evaluate on pixels, whatever was learned on."""
    set_random_seed(run.seed)  # policies may draw from the global generators, as SB3's do
    return evaluate(
        policy,
        network=run.setting.network,
        dataset=run.setting.dataset,
        sequence_length=run.setting.sequence_length,
        grid_size=run.entry.acts.get("grid_size"),
        lattice_stride=run.entry.acts.get("lattice_stride"),
        split=split,
        num_images=run.setting.num_images,
        deterministic=deterministic,
    )


def _figures(evaluation: Evaluation) -> Figures:
    return Figures(tuple(evaluation.accuracy.tolist()), evaluation.mean_return)


def _arrays(evaluation: Evaluation) -> dict[str, NDArray[Any]]:
    names = ("correct", "confidence", "locations", "labels", "indices")
    return {name: getattr(evaluation, name) for name in names}


def _save(policy: Any, stem: Path) -> None:
    """Write a trained policy, if it can be."""
    if not hasattr(policy, "save"):
        return
    stem.parent.mkdir(parents=True, exist_ok=True)
    is_sb3 = hasattr(policy, "get_parameters")
    policy.save(stem.with_suffix(SB3_SUFFIX if is_sb3 else ".safetensors"))
