"""The policies that come with the package, each on the task that it is named after."""

import os

import pytest

import agents
import gf_env
from agents import RandomPolicy
from gf_env.builtin_tasks import BUILTIN_TASKS
from gf_env.storage.assets import asset_names, find_tensor_file

NAMES = asset_names("agents")
REWARDS = "-rewards"


def task_of(name):
    """Return the task that a policy is named after, with the network of this name if there is."""
    (task,) = [task for task in BUILTIN_TASKS if name.startswith(task)]
    return {"dataset": task, **({"network": name} if name in asset_names("gf_env") else {})}


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_what_random_looks_miss(name):
    ours, random = (
        gf_env.evaluate(policy, split="validation", num_images=200, **task_of(name))
        for policy in (agents.load_policy(name), RandomPolicy())
    )
    assert ours.accuracy[-1] > random.accuracy[-1] + 0.2


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(REWARDS)])
def test_what_learned_from_rewards_is_small(name):
    assert os.path.getsize(find_tensor_file("agents", name)) <= 2_000_000
