"""Metrics of a frozen network: its accuracy, and how much a policy can gain."""

import dataclasses
import json
from typing import Any

from rich.console import Console

from agents.policies.oracle import GreedyOracle
from agents.policies.paper import PaperPolicy
from agents.policies.planner import ORDERS, ObjectPolicy
from agents.policies.rules import CentrePolicy, RandomPolicy
from agents.reporting.comparison import compare, table
from agents.reporting.provenance import versions
from agents.stages.run import TrainingRun
from gf_env.datasets import Dataset
from gf_env.evaluation import Evaluation, evaluate
from gf_env.network.glance_focus_net import GlanceFocusNet, load_network
from gf_env.storage.tensors import write_atomically

ORACLE_GRID = 7
MOST_IMAGES = 2000
"""So many images of a split are measured at most."""
RANDOM, ORACLE, PAPER = "random", "greedy_oracle", "paper_policy"


def _network_metrics(
    network: GlanceFocusNet, policy: PaperPolicy | None, run: TrainingRun
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
        **({} if policy is None else {PAPER: policy}),
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
    policy_source = run.source("stage2")
    policy = None if policy_source is None else PaperPolicy.load(policy_source)
    about: dict[str, Any] = {"config": dataclasses.asdict(run.config), "versions": versions()}
    if run.source("full_resolution") is not None:
        about = {"full_resolution_accuracy": run.full_resolution_accuracy(), **about}
    for phase in ("stage1", "stage3"):
        source = run.source(phase)
        if source is None:
            continue
        metrics, results = _network_metrics(load_network(source, device), policy, run)
        content = json.dumps({**metrics, **about}, indent=2) + "\n"
        write_atomically(run.place(phase).path / "figures.json", content.encode())
        rows = compare(results, random=RANDOM, oracle=ORACLE)
        console.print(table(rows, f"{phase}: {metrics['test_images']:,} images of the test split"))
