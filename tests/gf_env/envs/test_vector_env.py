import sys
import types

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gf_env  # noqa: F401 - registers the ids
from gf_env.envs.vector_env import GlanceFocusVectorEnv
from tests.helpers.compare import assert_alike, random_actions, to_rounding

NUM_ENVS = 5
MODES = list(AutoresetMode)


def make_vec(num_envs=NUM_ENVS, **kwargs):
    return gym.make_vec("GlanceFocus-v0", num_envs=num_envs, split="validation", **kwargs)


def test_seeds_by_list_and_index_for_all():
    single = [lambda: gym.make("GlanceFocus-v0", split="validation")] * NUM_ENVS
    native, reference = make_vec(), SyncVectorEnv(single)
    seeds = [3, 9, 1, 1, 7]
    assert_alike(native.reset(seed=seeds), reference.reset(seed=seeds), to_rounding)
    options = {"index": 12}
    seen = [env.reset(options=dict(options)) for env in (native, reference)]
    assert_alike(*seen, to_rounding)
    _, infos = native.reset(options={"index": [4, 3, 2, 1, 0]})
    assert infos["index"].tolist() == [4, 3, 2, 1, 0]


def test_same_seed_same_steps_bit_for_bit():
    def run():
        env = make_vec()
        seen = [env.reset(seed=5)]
        rng = np.random.default_rng(0)
        seen += [env.step(random_actions(env.action_space, rng)) for _ in range(6)]
        return seen

    assert_alike(run(), run())


def test_default_mode_wastes_no_step():
    env = make_vec()
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    env.reset(seed=0)
    for number in range(8):
        *_, infos = env.step(np.zeros((NUM_ENVS, 2), np.float32))
        assert ("final_info" in infos) == (number % 4 == 3)
    assert infos["step"].tolist() == [1] * NUM_ENVS
    assert infos["final_info"]["step"].tolist() == [5] * NUM_ENVS
    final = infos["final_info"]
    assert final["is_success"].tolist() == final["correct"].tolist()
    assert final["_is_success"].all()
    assert not infos["is_success"].any()  # the new episodes' own
    assert infos["final_obs"][0].keys() == {"features", "hidden_state"}


@pytest.mark.parametrize(("mode", "length"), [("NextStep", 4), ("SameStep", 3)])
def test_who_takes_next_step_for_granted_has_to_ask_for_it(mode, length):
    """As RLlib counts: the step after an end only resets."""
    env = gym.make_vec(
        "gf_env:GlanceFocus-v0",
        num_envs=NUM_ENVS,
        vectorization_mode="vector_entry_point",
        split="validation",
        autoreset_mode=mode,
    )
    env.reset(seed=0)
    lengths, running, ended = [], 0, False
    for _ in range(15):
        *_, terminated, _, _ = env.step(np.zeros((NUM_ENVS, 2), np.float32))
        running = 0 if ended else running + 1
        ended = terminated.all()
        if ended:
            lengths.append(running)
    assert set(lengths[1:]) == {length}


@pytest.mark.parametrize("mode", AutoresetMode)
def test_rllib_is_refused_what_it_would_be_wrong_with(mode, tiny, monkeypatch):
    """As RLlib makes it, in a module of that name."""
    name = "ray.rllib.env.single_agent_env_runner"
    runner = types.ModuleType(name)
    exec("def make_env(make, **arguments):\n    return make(**arguments)", vars(runner))
    monkeypatch.setitem(sys.modules, name, runner)
    ours = GlanceFocusVectorEnv(autoreset_mode=mode, **tiny)  # not RLlib's, though it is there
    assert ours.autoreset_mode == mode
    if mode == AutoresetMode.NEXT_STEP:
        assert runner.make_env(GlanceFocusVectorEnv, autoreset_mode=mode, **tiny)
        return
    with pytest.raises(ValueError, match=r'RLlib takes.*env_config=.*"NextStep"'):
        runner.make_env(GlanceFocusVectorEnv, autoreset_mode=mode, **tiny)


def test_arguments_of_the_vector_environment():
    make_vec(autoreset_mode="NextStep")  # which changes nothing for others
    assert make_vec().metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    with pytest.raises(ValueError, match="num_envs must be 1 or more"):
        make_vec(num_envs=0)
    with pytest.raises(ValueError, match=r"unknown autoreset_mode 'never'.*SameStep"):
        make_vec(autoreset_mode="never")


def test_disabled_needs_a_reset():
    env = make_vec(autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    actions = np.zeros((NUM_ENVS, 2), np.float32)
    for _ in range(4):
        env.step(actions)
    with pytest.raises(ResetNeeded, match=r"\[0, 1, 2, 3, 4\].*reset_mask"):
        env.step(actions)
    options = {"reset_mask": np.ones(NUM_ENVS, bool)}
    env.reset(options=options)
    assert set(options) == {"reset_mask"}  # the user's own are left as they are
    env.step(actions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": [1, 2]}, "index needs one value for each of 5"),
        ({"index": 2000}, "index 2000 is outside split 'validation'"),
        ({"image": 1}, r"\['image'\]"),
        ({"reset_mask": np.ones(4, bool)}, "reset_mask must be 5 booleans"),
        ({"reset_mask": np.zeros(5, bool)}, "one True at least"),
        ({"reset_mask": [1, 0, 0, 0, 0]}, "booleans"),
    ],
)
def test_bad_options(options, message):
    env = make_vec()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)


def test_first_reset_is_of_all():
    env = make_vec()
    with pytest.raises(ResetNeeded):
        env.step(np.zeros((NUM_ENVS, 2)))
    with pytest.raises(ResetNeeded, match="all environments"):
        env.reset(options={"reset_mask": np.array([True, False, False, False, False])})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("actions", [np.zeros((4, 2)), np.zeros(2), np.full((5, 2), np.nan), None])
def test_bad_actions_lose_nothing(mode, actions):
    env, other = (make_vec(autoreset_mode=mode) for _ in range(2))
    good = np.zeros((NUM_ENVS, 2), np.float32)
    for each in (env, other):
        each.reset(seed=0)
        each.step(good)
    with pytest.raises(ValueError, match=r"shape|NaN"):
        env.step(actions)
    assert_alike(env.step(good), other.step(good), to_rounding)


def test_render_gives_a_frame_each():
    env = make_vec(render_mode="rgb_array", num_envs=2)
    env.reset(seed=0)
    frames = env.render()
    assert len(frames) == 2
    assert frames[0].shape == frames[1].shape
    assert not np.array_equal(*frames)
