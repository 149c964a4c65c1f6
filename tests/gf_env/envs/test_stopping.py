"""An agent may stop, and looks have a price: what holds for every codec, environment and source."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.env import GlanceFocusEnv
from gf_env.envs.make_task import make_task
from gf_env.envs.vector_env import GlanceFocusVectorEnv
from tests.helpers.compare import assert_alike
from tests.helpers.tiny import random_dataset, random_network

LENGTH = 4
NUM_ENVS = 3
OBSERVE = ("glance", "locations", "step", "probabilities")
CODECS = {"locations": {}, "lattice": {"lattice_stride": 3}, "grid": {"grid_size": 2}}
SAME_AFTER_A_STOP = (
    *("index", "label", "prediction", "confidence", "max_probability", "correct"),
    *("step", "patch", "multiply_adds"),
)

every_task = pytest.mark.parametrize(
    ("codec", "bank"),
    [
        *((codec, False) for codec in CODECS),
        # looks at any pixel go to the nearest of a bank's patches, so that is the lattice's case
        *((codec, True) for codec in CODECS if codec != "locations"),
    ],
)
quick = settings(max_examples=12, deadline=None)


class CountingSource:
    """A glimpse source that counts the images it has focused on."""

    def __init__(self, source):
        self.source, self.focused = source, 0

    def glance(self, images, rows=None):
        return self.source.glance(images, rows)

    def focus(self, images, locations, hidden, rows=None):
        self.focused += len(locations)
        assert len(locations)  # of no image at all it is not called
        return self.source.focus(images, locations, hidden, rows)


@functools.cache
def made_once(codec, bank):
    """Return a task's arguments; several environments share network, data set and bank."""
    arguments = {"network": random_network(), "dataset": random_dataset(), **CODECS[codec]}
    return {**arguments, "feature_bank": make_task(**arguments, feature_bank=bank).glimpse_source}


def arguments_of(codec, bank, look_cost):
    given = made_once(codec, bank)
    source = given["feature_bank"] if bank else None
    where = {"sequence_length": LENGTH, "observe": OBSERVE, "stop": True, "look_cost": look_cost}
    return {**given, **where, "feature_bank": source}


def counted(env):
    """Make an environment see through a counting source; return it."""
    source = CountingSource(env.task.glimpse_source)
    env.task = dataclasses.replace(env.task, glimpse_source=source)
    return source


def choose(task, rng, count, share):
    """Return random actions, about `share` of which stop, and which do."""
    ends = rng.random(count) < share
    places = torch.from_numpy(rng.random((count, 2), np.float32))
    return task.actions.encode(Look(places, torch.from_numpy(ends))), ends


prices = st.one_of(st.just(0.0), st.floats(0, 2))
seeds = st.integers(0, 2**31)
shares = st.sampled_from([0.0, 0.3, 0.6, 1.0])


def check_episode(infos, rewards, look_cost):
    """Check one whole episode: its infos from the glance on, and its rewards."""
    looks = infos[-1]["step"] - 1
    gained = infos[-1]["confidence"] - infos[0]["confidence"]
    assert sum(rewards) == pytest.approx(gained - look_cost * looks, abs=1e-5)
    assert sum(info["gain"] for info in infos) == pytest.approx(gained, abs=1e-5)
    assert sum(info["cost"] for info in infos) == pytest.approx(look_cost * looks)
    for info, reward in zip(infos[1:], rewards, strict=True):
        assert reward == pytest.approx(info["gain"] - info["cost"], abs=1e-6)
    assert [info["stopped"] for info in infos[:-1]] == [False] * (len(infos) - 1)
    assert infos[-1]["stopped"] == (len(infos) > infos[-1]["step"])
    assert infos[-1]["stopped"] or infos[-1]["step"] == LENGTH
    assert infos[-1]["is_success"] == infos[-1]["correct"]


def check_stop(before, after, reward, terminated):
    """Check a step that stopped against what was before it; both are (observation, info)."""
    assert reward == 0
    assert terminated
    (seen, known), (seen_after, known_after) = before, after
    assert_alike(seen_after, seen)
    for key in SAME_AFTER_A_STOP:
        assert_alike(known_after[key], known[key], path=key)
    assert (known_after["gain"], known_after["cost"], known_after["stopped"]) == (0, 0, True)


@every_task
@quick
@given(seed=seeds, look_cost=prices, share=shares)
def test_single_environment(codec, bank, seed, look_cost, share):
    env, rng = GlanceFocusEnv(**arguments_of(codec, bank, look_cost)), np.random.default_rng(seed)
    source = counted(env)
    before = env.reset(seed=seed)
    infos, rewards, terminated = [before[1]], [], False
    while not terminated:
        actions, ends = choose(env.task, rng, 1, share)
        focused = source.focused
        observation, reward, terminated, truncated, info = env.step(actions[0])
        assert source.focused - focused == (not ends[0])
        assert not truncated
        if ends[0]:
            check_stop(before, (observation, info), reward, terminated)
        before = observation, info
        infos.append(info)
        rewards.append(reward)
    check_episode(infos, rewards, look_cost)
    with pytest.raises(ResetNeeded):
        env.step(actions[0])


def row_of(infos, row):
    """Return one environment's info out of a vector environment's."""
    keys = (key for key in infos if f"_{key}" in infos and not key.startswith("final_"))
    return {key: infos[key][row] for key in keys if infos[f"_{key}"][row]}


def seen_in(observation, row):
    return {key: value[row] for key, value in observation.items()}


@every_task
@pytest.mark.parametrize("mode", AutoresetMode)
@quick
@given(seed=seeds, look_cost=prices, share=shares)
def test_vector_environment(codec, bank, mode, seed, look_cost, share):
    given = arguments_of(codec, bank, look_cost)
    env = GlanceFocusVectorEnv(NUM_ENVS, autoreset_mode=mode, **given)
    source, rng = counted(env), np.random.default_rng(seed)
    observation, infos = env.reset(seed=seed)
    played = [([row_of(infos, row)], []) for row in range(NUM_ENVS)]
    ended = np.zeros(NUM_ENVS, bool)
    for _ in range(2 * LENGTH):
        if mode == AutoresetMode.DISABLED and ended.any():
            observation, infos = env.reset(options={"reset_mask": ended.copy()})
            for row in np.flatnonzero(ended):
                played[row] = [row_of(infos, row)], []
            ended[:] = False
        waiting = ended if mode == AutoresetMode.NEXT_STEP else np.zeros(NUM_ENVS, bool)
        actions, stops = choose(env.task, rng, NUM_ENVS, share)
        focused, before = source.focused, observation
        observation, rewards, ended, truncated, infos = env.step(actions)
        assert not truncated.any()
        assert source.focused - focused == (~stops & ~waiting).sum()
        for row in range(NUM_ENVS):
            if waiting[row]:  # a step that only starts the next episode
                assert (rewards[row], ended[row]) == (0, False)
                played[row] = [row_of(infos, row)], []
                continue
            final = mode == AutoresetMode.SAME_STEP and ended[row]
            last = row_of(infos["final_info"] if final else infos, row)
            seen = infos["final_obs"][row] if final else seen_in(observation, row)
            if stops[row]:
                known = played[row][0][-1]
                check_stop((seen_in(before, row), known), (seen, last), rewards[row], ended[row])
            played[row][0].append(last)
            played[row][1].append(rewards[row])
            if ended[row]:
                check_episode(*played[row], look_cost)
            if final:
                played[row] = [row_of(infos, row)], []


@every_task
@quick
@given(seed=seeds, look_cost=prices)
def test_episodes_that_have_stopped_stay_as_they_are(codec, bank, seed, look_cost):
    """In the core a batch goes on with some of its episodes stopped."""
    task, rng = make_task(**arguments_of(codec, bank, look_cost)), np.random.default_rng(seed)
    source = CountingSource(task.glimpse_source)
    task = dataclasses.replace(task, glimpse_source=source)
    indices = rng.integers(0, 20, 6)
    state = task.start(indices)
    first, total = episodes.readout(state).confidence, torch.zeros(6)
    for number in range(1, LENGTH):
        before, focused = state, source.focused
        actions, _ = choose(task, rng, 6, 0.4)
        look = task.actions.decode(actions, 6)
        state, rewards, terminated = task.step(state, look)
        total += rewards
        stopped = before.stopped | look.stop
        assert torch.equal(state.stopped, stopped)
        assert source.focused - focused == (~stopped).sum()
        assert torch.equal(terminated, stopped | (state.step == LENGTH))
        assert state.step[~stopped].tolist() == [number + 1] * int((~stopped).sum())
        changing = {"images", "gain", "stopped", "rows"}
        for name in {*state._fields} - changing:
            value, was = getattr(state, name), getattr(before, name)
            assert torch.equal(value[stopped], was[stopped]), name
        assert not rewards[stopped].any()
        assert not state.gain[stopped].any()
    gained = episodes.readout(state).confidence - first
    assert torch.allclose(total, gained - look_cost * (state.step - 1), atol=1e-5)


@pytest.mark.parametrize("codec", CODECS)
def test_where_nobody_stops_it_is_as_without_stop(codec):
    """A price of 0 and no stops: the same episodes, to the bit."""
    given = arguments_of(codec, False, 0.0)
    with_stop, without = (make_task(**{**given, "stop": stop}) for stop in (True, False))
    states = [task.start(np.arange(5)) for task in (with_stop, without)]
    for number in range(1, LENGTH):
        places = torch.rand(5, 2, generator=torch.Generator().manual_seed(number))
        stepped = [
            task.step(state, task.actions.decode(task.actions.encode(Look(places)), 5))
            for task, state in zip((with_stop, without), states, strict=True)
        ]
        states = [state for state, _, _ in stepped]
        for found, expected in zip(*(result[1:] for result in stepped), strict=True):
            assert torch.allclose(found, expected, atol=1e-6)
    for found, expected in zip(*(state[2:-1] for state in states), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
