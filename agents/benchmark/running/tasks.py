"""Tasks of a benchmark's settings: what they are known by, and what is trained and evaluated on."""

from typing import Any

from agents.benchmark.suite import Run, Setting
from agents.registry.files import open_network
from gf_env.datasets import load_dataset
from gf_env.datasets.base import dataset_digest
from gf_env.envs.make_task import TaskArguments


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
    """Return the arguments of the task that a run's learner learns on.

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
    return {**arguments, **run.entry.training_task}
