"""Stage 2 with another learner than the paper's: a policy for the frozen network."""

import math
from collections.abc import Callable
from typing import Any

from rich.progress import Progress

from agents.learners.base import Update
from agents.learners.supervisor import Supervisor
from agents.policies.network_policy import NetworkPolicy
from agents.registry.learners import get_learner
from agents.stages.config import PolicyConfig
from gf_env.datasets import Dataset
from gf_env.envs.make_task import TaskArguments
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import Policy
from gf_env.training import processes
from gf_env.training.logs import Log, open_log
from gf_env.training.loop import Metrics, PhaseFolder


def learn_policy(
    config: PolicyConfig,
    network: GlanceFocusNet,
    images: Dataset,
    folder: PhaseFolder,
    validate: Callable[[Policy], Metrics],
    *,
    name: str,
    progress: Progress,
) -> None:
    """Train a policy and write it to `folder.best`; nothing is done where it is there already.

    A training that was stopped is resumed; one of several processes begins anew. As all that is
    drawn is seeded, both end in the same file.

    Args:
        config: the learner and its settings.
        network: frozen, on the device.
        images: what is learned on.
        folder: of the phase; metrics are logged there.
        validate: returns metrics of a policy.
        name: for the progress bar.
        progress: shows a bar.

    Raises:
        ValueError: settings that do not fit the network or the data set, or what was learned is no
            network of this package.
    """
    if folder.best.is_file():
        return
    task: TaskArguments = {
        "network": network,
        "dataset": images,
        "grid_size": config.grid_size,
        "feature_bank": config.feature_bank,
        "device": network.device,
    }
    alone = processes.world_size() == 1
    supervisor = Supervisor(checkpoint=folder.last) if alone else None
    with open_log(folder.path, 0) as log:
        policy = _learn(config, task, log, supervisor, name, progress)
        metrics = validate(policy)
        log(metrics, 0)
    policy.save(folder.best)
    folder.last.unlink(missing_ok=True)  # there is nothing left to resume
    accuracy = metrics["validation/accuracy"]
    progress.console.print(f"{name} by {config.learner}: validation accuracy {accuracy:.4f}")


def _learn(
    config: PolicyConfig,
    task: TaskArguments,
    log: Log,
    supervisor: Supervisor | None,
    name: str,
    progress: Progress,
) -> NetworkPolicy[Any]:
    """Train a policy with a bar and a log of every update."""
    bar = progress.add_task(name, total=None, loss=math.nan)

    def report(update: Update) -> None:
        log(update.metrics, update.number)
        loss = update.metrics.get("losses/loss", math.nan)
        progress.update(bar, completed=update.number, loss=loss)

    learner = get_learner(config.learner)
    policy = learner.train(task, config.learner_config(), report, supervisor)
    progress.remove_task(bar)
    if not isinstance(policy, NetworkPolicy):
        raise ValueError(
            f"{config.learner} made a {type(policy).__name__}, on whose looks no network can be "
            "trained: only policies that are a network of this package choose on tensors"
        )
    return policy
