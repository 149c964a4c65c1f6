"""One run of a benchmark: train where there is a learner, evaluate, write, and make a row of it."""

import datetime
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from stable_baselines3.common.utils import set_random_seed

from agents.benchmark.results import DONE, FAILED, Metrics, Result, ResultsFolder, Training
from agents.benchmark.running.history import OnProgress, TrainingHistory
from agents.benchmark.running.tasks import task_identity, training_task
from agents.benchmark.suite import Run
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.files import SB3_SUFFIX, open_network
from agents.registry.learners import get_learner
from agents.registry.policies import make_policy
from agents.reporting.provenance import machine, versions
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.budgets import BudgetPoint, budgeted_curve

_ARRAYS = ("correct", "confidence", "locations", "labels", "indices")
"""What is kept of each image; see `ResultsFolder.arrays`."""


def execute(run: Run, folder: ResultsFolder, on_progress: OnProgress) -> Result:
    """Do a run and return its row; arrays and a trained policy are written to the folder.

    Args:
        run: which.
        folder: gets the files, but not the row.
        on_progress: called with a line on how far it is.

    Raises:
        Exception: whatever a policy raises.
    """
    began = time.perf_counter()
    training = None
    if run.entry.learner is None:
        policy = _make_policy(run)
    else:
        policy, training = _train(run, on_progress)
        _save(policy, folder.policy_stem(run.key))
    on_progress("evaluates")
    test = _evaluate(policy, run, run.setting.split, deterministic=True)
    sampled = _evaluate(policy, run, run.setting.split, deterministic=False)
    held_out = _evaluate(policy, run, run.setting.threshold_split, deterministic=True)
    curve = budgeted_curve(
        held_out.max_probability, test.max_probability, test.correct, test.multiply_adds
    )
    folder.write_arrays(run.key, {name: getattr(test, name) for name in _ARRAYS})
    return _describe(
        run,
        DONE,
        time.perf_counter() - began,
        deterministic=_metrics(test),
        sampled=_metrics(sampled),
        multiply_adds=tuple(test.multiply_adds.tolist()),
        budgeted_area=budgeted_area(curve, test),
        training=training,
    )


def failure(run: Run, reason: str, seconds: float) -> Result:
    """Return the row of a run that failed."""
    return _describe(run, FAILED, seconds, reason=reason)


def _make_policy(run: Run) -> Policy | PrivilegedPolicy:
    entry = run.entry
    assert entry.policy is not None  # an entry has a policy or a learner
    network = open_network(run.setting.network)
    return make_policy(entry.policy, network=network, seed=run.seed, settings=entry.settings)


def _train(run: Run, on_progress: OnProgress) -> tuple[Policy, Training]:
    assert run.entry.learner is not None
    learner = get_learner(run.entry.learner)
    history = TrainingHistory(on_progress)
    began = time.perf_counter()
    policy = learner.train(training_task(run), run.entry.learner_config(run.seed), history)
    return policy, history.training(time.perf_counter() - began)


def _save(policy: Any, stem: Path) -> None:
    """Write a trained policy, if it can be."""
    if not hasattr(policy, "save"):
        return
    stem.parent.mkdir(parents=True, exist_ok=True)
    is_sb3 = hasattr(policy, "get_parameters")
    policy.save(stem.with_suffix(SB3_SUFFIX if is_sb3 else ".safetensors"))


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
        grid_size=run.entry.evaluation_task.get("grid_size"),
        lattice_stride=run.entry.evaluation_task.get("lattice_stride"),
        split=split,
        num_images=run.setting.num_images,
        deterministic=deterministic,
    )


def _metrics(evaluation: Evaluation) -> Metrics:
    return Metrics(tuple(evaluation.accuracy.tolist()), evaluation.mean_return)


def budgeted_area(curve: list[BudgetPoint], evaluation: Evaluation) -> float:
    """Return the mean accuracy over mean costs from the glance's to that of all looks.

    Args:
        curve: accuracy at budgets; see `gf_env.inference.budgets.budgeted_curve`.
        evaluation: of the same images; its first and last look are the curve's ends.

    Returns:
        The area under the curve, divided by the width of its base.
    """
    costs, accuracy = evaluation.multiply_adds, evaluation.accuracy
    between = sorted((point.mean_cost, point.accuracy) for point in curve)
    points = [(costs[0], accuracy[0]), *between, (costs[-1], accuracy[-1])]
    at, height = map(np.array, zip(*points, strict=True))
    return float(trapezoid(height, at) / (costs[-1] - costs[0]))


def _describe(
    run: Run, status: str, seconds: float, *, reason: str | None = None, **measured: Any
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
        **measured,
    )
