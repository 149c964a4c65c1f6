"""What every id promises, at every level."""

import functools
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import agents
import gf_env
from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS
from gf_env.envs.actions import Look
from gf_env.envs.registration import ENV_IDS
from tests.helpers.compare import assert_vector_envs_alike, to_float16, to_rounding

OBSERVE = ("glance", "locations", "step", "probabilities")
ALLOWED_WARNINGS = (
    # feature maps are what a network's last layer gives: they have no bounds
    "minimum value is -infinity",
    "maximum value is infinity",
    # Stable-Baselines3 takes every three-dimensional array for a picture, feature maps too
    "is an image but its `dtype` is (float32)",
    "is an image but the upper and lower bounds are not in [0, 255]",
    "The minimal resolution for an image is 36x36",
    "Treating image space as channels-last",
    # a sequence of places is two-dimensional
    "unconventional shape",
)
NUM_ENVS = 4

every_id = pytest.mark.parametrize("env_id", ENV_IDS)
# the agent stops or the network exits, not both
every_end = pytest.mark.parametrize(
    ("env_id", "exits"),
    [(env_id, exits) for env_id in ENV_IDS for exits in (False, True)[: 2 - ("Stop" in env_id)]],
)


@every_id
@pytest.mark.parametrize("check", [gymnasium_check_env, sb3_check_env])
def test_checkers_have_no_objection(env_id, check):
    env = gym.make(env_id, split="validation", observe=OBSERVE, render_mode="rgb_array")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(env.unwrapped)
    for warning in caught:
        assert any(allowed in str(warning.message) for allowed in ALLOWED_WARNINGS), warning


@every_end
@pytest.mark.parametrize("mode", AutoresetMode)
def test_vector_environment_equals_single_ones(env_id, mode, exits):
    arguments = {"split": "validation", "observe": OBSERVE}
    if exits:
        arguments["exit_thresholds"] = exits_of_about_half(ENV_IDS[env_id]["dataset"])
    native = gym.make_vec(env_id, num_envs=NUM_ENVS, autoreset_mode=mode, **arguments)
    single = [lambda: gym.make(env_id, **arguments)] * NUM_ENVS
    reference = SyncVectorEnv(single, autoreset_mode=mode)
    assert native.metadata["autoreset_mode"] == reference.metadata["autoreset_mode"] == mode
    for space in ("action_space", "observation_space"):
        for name in (space, f"single_{space}"):
            assert getattr(native, name) == getattr(reference, name)
    ends, partial = assert_vector_envs_alike(native, reference, to_rounding, steps=12)
    assert ends >= NUM_ENVS
    assert (partial > 0) == (exits or "Stop" in env_id)
    assert native.np_random_seed == reference.np_random_seed


@functools.cache
def exits_of_about_half(dataset):
    """Thresholds at which about half of the episodes end after each look, so that rows run out of
    step."""
    done = gf_env.evaluate(
        agents.RandomPolicy(), dataset=dataset, split="validation", num_images=50
    )
    return tuple(np.median(done.max_probability, axis=0).tolist())


@every_id
def test_feature_bank_equals_pixels(env_id):
    arguments = {"split": "validation", "num_scenes": 8, "observe": OBSERVE}
    if "Grid" not in env_id:
        arguments["lattice_stride"] = 24
    banked, direct = (
        gym.make_vec(env_id, num_envs=NUM_ENVS, **arguments, feature_bank=bank)
        for bank in (True, None)
    )
    ends, _ = assert_vector_envs_alike(banked, direct, to_float16, steps=9)
    assert ends


@pytest.mark.parametrize("task", BUILTIN_TASKS)
@pytest.mark.parametrize("level", LEVELS)
def test_levels(task, level):
    row = BUILTIN_TASKS[task].at(level)
    kind = gf_env.load_dataset(row.dataset, "validation").spec
    box, choices = gym.spaces.Box, row.grid_size**2
    forms = {"": box(-1, 1, (2,), np.float32), "Grid": gym.spaces.Discrete(choices)}
    if BUILTIN_TASKS[task].stop_cost is not None:
        forms["Stop"] = box(-1, 1, (3,), np.float32)
        forms["StopGrid"] = gym.spaces.Discrete(choices + 1)
    for form, space in forms.items():
        env_id = f"{BUILTIN_TASKS[task].id_stem}{form}-v0"
        env = gym.make(env_id, split="validation", level=level, render_mode="rgb_array")
        played = env.unwrapped.task
        assert played.dataset.name == row.dataset
        assert played.rules.sequence_length == row.sequence_length
        assert env.action_space == space
        assert played.rules.look_cost == (BUILTIN_TASKS[task].stop_cost if "Stop" in form else 0)
        _, info = env.reset(seed=0)
        assert info["patch"].tolist() == [0, 0, kind.image_size, kind.image_size]
        looks = played.actions.encode(Look(torch.full((row.sequence_length - 1, 2), 0.3)))
        ends = [env.step(action)[2] for action in looks]
        assert ends == [False] * (row.sequence_length - 2) + [True]
        assert env.render().shape == (436, 800, 3)
