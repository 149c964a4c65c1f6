"""Pickles and copies of environments: small, and they go on as the original does."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch

import gf_env
from gf_env.envs.registration import ENV_IDS
from gf_env.feature_bank.bank import FeatureBank
from tests.helpers.compare import assert_alike, random_actions

MOST_BYTES = 3_000_000
"""A network's weights, and an episode."""

ARGUMENTS = {
    "computed": {},
    "looked up": {"feature_bank": True, "lattice_stride": 24, "num_scenes": 8},
    "endless": {"num_scenes": 3000},
    "an object": {"dataset": gf_env.load_dataset("cluttered-digits", "validation", size=40)},
}
NUM_ENVS = {"one": None, "three": 3}


def pickled(env):
    return pickle.loads(pickle.dumps(env))


def make(arguments, num_envs):
    if num_envs is None:
        return gym.make("GlanceFocus-v0", split="validation", **arguments)
    return gym.make_vec("GlanceFocus-v0", num_envs=num_envs, split="validation", **arguments)


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy], ids=["pickled", "deepcopied"])
@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("num_envs", NUM_ENVS.values(), ids=NUM_ENVS)
def test_a_copy_goes_on_as_the_original(copied, arguments, num_envs):
    env, rng = make(arguments, num_envs), np.random.default_rng(0)
    copied(env)  # before any episode
    env.reset(seed=5)
    env.step(random_actions(env.action_space, rng))
    again = copied(env)
    actions = [random_actions(env.action_space, rng) for _ in range(3)]
    expected, found = ([*map(each.step, actions), each.reset()] for each in (env, again))
    assert_alike(found, expected)


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("num_envs", NUM_ENVS.values(), ids=NUM_ENVS)
def test_no_images_are_pickled(arguments, num_envs):
    env = make(arguments, num_envs)
    env.reset(seed=0)
    assert len(pickle.dumps(env)) < MOST_BYTES


def test_a_bank_is_pickled_by_path_and_a_copied_task_is_shared():
    env = make(ARGUMENTS["looked up"], None)
    again, copied = (way(env).unwrapped.task.glimpse_source for way in (pickled, copy.deepcopy))
    bank = env.unwrapped.task.glimpse_source
    assert copied is bank
    assert again is not bank
    assert again.path == bank.path
    in_memory = FeatureBank(bank.network, bank.dataset, bank.lattice, torch.ones(8, 26, 5))
    assert pickled(in_memory).num_bytes == in_memory.num_bytes


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_keys_are_for_actions_of_the_space(env_id):
    env = gym.make(env_id, split="validation")
    keys = env.get_wrapper_attr("get_keys_to_action")()
    assert set(keys) == {*"qweasdzxc", *([" "] if "Stop" in env_id else [])}
    for key, corner in (("q", [0, 0]), ("s", [36, 36]), ("c", [72, 72])):
        env.reset(seed=0)
        assert env.action_space.contains(keys[key])
        assert env.step(keys[key])[4]["patch"].tolist() == [*corner, 24, 24]
    if " " in keys:
        env.reset(seed=0)
        assert env.step(keys[" "])[4]["stopped"]
