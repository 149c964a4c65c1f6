"""Metrics of a frozen network: its accuracy, and how much a policy can gain."""

import dataclasses
import json
from typing import Any

from rich.console import Console

from agents.policies.base import Policy
from agents.policies.oracle import GreedyOracle
from agents.policies.planner import ORDERS, ObjectPolicy
from agents.policies.rules import CentrePolicy, RandomPolicy
from agents.registry.files import load_policy
from agents.reporting.comparison import compare, table
from agents.reporting.provenance import versions
from agents.stages.config import PAPERS
from agents.stages.run import TrainingRun
from gf_env.datasets import Dataset
from gf_env.evaluation import Evaluation, evaluate
from gf_env.network.glance_focus_net import GlanceFocusNet, load_network
from gf_env.storage.files import write_atomically

ORACLE_GRID = 7
MOST_IMAGES = 2000
"""So many images of a split are measured at most."""
RANDOM, ORACLE = "random", "greedy_oracle"


def _network_metrics(
    network: GlanceFocusNet, policy: Policy | None, run: TrainingRun
) -> tuple[dict[str, Any], dict[str, Evaluation]]:
    """Return JSON-serialisable metrics on the first images of a training's data.

    Beside them the evaluations on test images, of blind rules, the policy and the greedy oracle.
    """

    def measure(policy: Any, images: Dataset) -> Evaluation:
        return evaluate(
            policy,
            network=network,
            dataset=images,
            num_images=min(MOST_IMAGES, len(images)),
            device=network.device,
            workers=run.loading.workers,
        )

    scripted = {name: ObjectPolicy(name) for name in ORDERS}
    policies = {
        RANDOM: RandomPolicy(),
        "centre": CentrePolicy(),
        **({} if policy is None else {_name(run): policy}),
        **(scripted if run.config.recipe.object_looks else {}),
        ORACLE: GreedyOracle(ORACLE_GRID),
    }
    results = {name: measure(each, run.test) for name, each in policies.items()}
    metrics = {
        "test_images": len(results[RANDOM].labels),
        "glance_accuracy": float(results[RANDOM].accuracy[0]),
        "accuracy_per_look": {name: each.accuracy.tolist() for name, each in results.items()},
        "oracle_grid": ORACLE_GRID,
        "random_mean_return": {
            "train": measure(RandomPolicy(), run.policy_images).mean_return,
            "test": results[RANDOM].mean_return,
        },
        "multiply_adds": results[RANDOM].multiply_adds.tolist(),
    }
    return metrics, results


def write_network_metrics(run: TrainingRun, console: Console) -> None:
    """Measure the networks of a training; write `figures.json` in the folders of their stages."""
    device = run.loading.device
    about: dict[str, Any] = {"config": dataclasses.asdict(run.config), "versions": versions()}
    if run.source("full_resolution") is not None:
        about = {"full_resolution_accuracy": run.full_resolution_accuracy(), **about}
    rounds = range(1, run.config.rounds + 1)
    for phase, number in (("stage1", 1), *(("stage3", each) for each in rounds)):
        source = run.source(phase, number)
        if source is None:
            continue
        # of several rounds each network has the policy that was tuned on it
        tuned = None if phase == "stage1" else run.source("stage2", number + 1)
        chosen = tuned or run.source("stage2", number)
        policy = None if chosen is None else load_policy(chosen)
        metrics, results = _network_metrics(load_network(source, device), policy, run)
        content = json.dumps({**metrics, **about}, indent=2) + "\n"
        place = run.place(phase, number).path
        write_atomically(place / "figures.json", content.encode())
        rows = compare(results, random=RANDOM, oracle=ORACLE)
        title = f"{place.name}: {metrics['test_images']:,} images of the test split"
        console.print(table(rows, title))


def _name(run: TrainingRun) -> str:
    """Return what the trained policy is called."""
    papers = run.config.policy.learner == PAPERS
    return "paper_policy" if papers else f"{run.config.policy.learner}_policy"
