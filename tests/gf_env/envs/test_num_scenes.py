"""Splits of any length: environments, evaluation, learners and feature banks on them."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import agents
import gf_env
from agents.learners.reinforce import ReinforceConfig, train
from gf_env.datasets import load_dataset
from gf_env.datasets.scenes.base import EndlessScenes
from gf_env.envs.make_task import make_task
from tests.helpers.compare import assert_vector_envs_alike, to_rounding

MANY = 10_000_000
EXITS = (0.0, 0.5, 0.6, 0.6, 0.0)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_environments(mode):
    arguments = {"num_scenes": MANY, "exit_thresholds": EXITS}
    native = gym.make_vec("GlanceFocus-v0", num_envs=4, autoreset_mode=mode, **arguments)
    single = [lambda: gym.make("GlanceFocus-v0", **arguments)] * 4
    reference = SyncVectorEnv(single, autoreset_mode=mode)
    ends, _ = assert_vector_envs_alike(native, reference, to_rounding)
    assert ends >= 4


def test_episodes_are_on_the_scenes_that_they_tell():
    env = gym.make_vec("GlanceFocus-v0", num_envs=64, num_scenes=MANY)
    _, infos = env.reset(seed=0)
    assert np.median(infos["index"]) > 20_000
    scenes = load_dataset("cluttered-digits", "train", size=MANY)
    assert np.array_equal(infos["label"], scenes.labels[infos["index"]])
    _, last = env.reset(options={"index": MANY - 1})
    assert (last["label"] == scenes.labels[MANY - 1]).all()
    with pytest.raises(ValueError, match=f"images 0 to {MANY - 1}"):
        env.reset(options={"index": MANY})


def test_fewer_scenes_than_usual():
    task = make_task(num_scenes=7)
    assert len(task.dataset) == 7
    assert not isinstance(task.dataset, EndlessScenes)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_of_the_first_scenes(workers):
    policy = agents.CentrePolicy()
    usual = gf_env.evaluate(policy, num_images=20)
    found = gf_env.evaluate(policy, num_images=20, num_scenes=MANY, batch_size=8, workers=workers)
    assert np.array_equal(found.labels, usual.labels)
    np.testing.assert_allclose(found.confidence, usual.confidence, atol=1e-6)


def test_learners():
    task = make_task(num_scenes=MANY, sequence_length=2)
    seen = []
    config = ReinforceConfig(num_envs=8, updates=2)
    policy = train(task, config, lambda update: seen.append(update.steps))
    assert seen == [8, 16]
    assert gf_env.evaluate(policy, num_images=4).labels.shape == (4,)


def test_a_feature_bank(own_cache):
    arguments = {"split": "test", "num_scenes": 2_001, "grid_size": 1}
    banked, direct = (make_task(**arguments, feature_bank=bank) for bank in (True, None))
    assert isinstance(banked.dataset, EndlessScenes)
    indices = np.array([2_000, 3, 3])
    states = [task.start(indices) for task in (banked, direct)]
    assert torch.equal(states[0].labels, states[1].labels)
    assert torch.allclose(states[0].logits, states[1].logits, atol=2e-3)
    assert torch.equal(banked.pixels(states[0]), direct.pixels(states[1]))
    for num_scenes in (5, 2_001):  # each has its own file
        make_task(**{**arguments, "num_scenes": num_scenes}, feature_bank=True)
    assert len(list(own_cache.glob("banks/*.npy"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_scenes": 0}, "whole number of scenes, 1 to .* got size=0"),
        ({"num_scenes": 10, "dataset": "nowhere"}, "for built-in data sets.* leave it out for"),
    ],
)
def test_numbers_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task(**arguments)


def test_a_data_set_of_ones_own_has_its_number(tiny):
    with pytest.raises(ValueError, match="leave it out for 'arrays'"):
        make_task(**tiny, num_scenes=10)
