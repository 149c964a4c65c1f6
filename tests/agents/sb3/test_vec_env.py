import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.sb3 import GlanceFocusVecEnv
from gf_env.envs.actions import Look
from tests.helpers.compare import assert_alike


def make(num_envs=4, **kwargs):
    return GlanceFocusVecEnv(num_envs, split="validation", **kwargs)


def test_bridge_is_the_vector_env():
    bridge, native = make(), gym.make_vec("GlanceFocus-v0", num_envs=4, split="validation")
    assert bridge.observation_space == native.single_observation_space
    assert bridge.action_space == native.single_action_space
    bridge.seed(3)
    observation, (expected, infos) = bridge.reset(), native.reset(seed=3)
    assert_alike(observation, expected)
    assert [info["index"] for info in bridge.reset_infos] == infos["index"].tolist()
    rng = np.random.default_rng(0)
    for step in range(9):
        actions = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        observation, rewards, dones, row_infos = bridge.step(actions)
        expected, true_rewards, terminated, _, infos = native.step(actions)
        assert_alike(observation, expected)
        assert np.allclose(rewards, true_rewards, atol=1e-7)
        assert rewards.dtype == np.float32
        assert np.array_equal(dones, terminated)
        assert dones.all() == (step % 4 == 3)
        for row, info in enumerate(row_infos):
            if not dones[row]:
                assert "terminal_observation" not in info
                assert info["step"] == step % 4 + 2
                continue
            assert_alike(info["terminal_observation"], infos["final_obs"][row])
            assert info["TimeLimit.truncated"] is False
            for name in ("is_success", "index"):
                assert info[name] == infos["final_info"][name][row]
            assert bridge.reset_infos[row]["index"] == infos["index"][row]


@pytest.mark.parametrize("env_id", ["GlanceFocusStop-v0", "GlanceFocusStopGrid-v0"])
def test_episodes_that_stop(env_id):
    bridge = make(env_id=env_id, look_cost=0.25)
    price, before = 0.25, bridge.reset()
    known = [*bridge.reset_infos]
    stops = np.array([True, False, True, False])
    actions = bridge.vector_env.task.actions.encode(
        Look(torch.full((4, 2), 0.3), torch.from_numpy(stops))
    )
    _, rewards, dones, infos = bridge.step(actions)
    assert dones.tolist() == stops.tolist()
    assert not rewards[stops].any()
    for row, info in enumerate(infos):
        assert info["stopped"] is bool(stops[row])
        assert info["cost"] == (0 if stops[row] else price)
        assert rewards[row] == pytest.approx(info["gain"] - info["cost"], abs=1e-6)
        if stops[row]:
            expected = {key: value[row] for key, value in before.items()}
            assert_alike(info["terminal_observation"], expected)
            assert info["TimeLimit.truncated"] is False
            assert info["is_success"] is info["correct"]
            for name in ("index", "step", "confidence", "multiply_adds"):
                assert info[name] == known[row][name]
            fresh = bridge.reset_infos[row]
            assert (fresh["step"], fresh["stopped"], fresh["cost"]) == (1, False, 0)
    *_, dones, infos = bridge.step(actions)  # the new episodes stop at once, too
    assert dones.tolist() == stops.tolist()
    assert [info["step"] for info in infos] == [1, 3, 1, 3]


def test_options_choose_images():
    bridge = make()
    bridge.set_options([{"index": 3}, {}, {"index": 8}, {}])
    bridge.reset()
    assert [info["index"] for info in bridge.reset_infos][::2] == [3, 8]
    bridge.reset()
    assert [info["index"] for info in bridge.reset_infos][::2] != [3, 8]


def test_what_sb3_asks_for():
    bridge = make(render_mode="rgb_array")
    assert bridge.render_mode == "rgb_array"
    bridge.reset()
    frames = bridge.get_images()
    assert len(frames) == 4
    assert bridge.render().shape[0] >= 2 * frames[0].shape[0] - 1
    assert bridge.env_is_wrapped(gym.Wrapper) == [False] * 4
    assert bridge.get_attr("num_envs", indices=[0, 2]) == [4, 4]
    for refused in (lambda: bridge.set_attr("task", None), lambda: bridge.env_method("reset")):
        with pytest.raises(NotImplementedError, match="one batch"):
            refused()
    bridge.close()


def test_unknown_ids_are_refused():
    with pytest.raises(ValueError, match="not one of this package"):
        GlanceFocusVecEnv(2, env_id="CartPole-v1")


def test_the_bridge_copies_no_observation(tiny_network, tiny_dataset):
    env = GlanceFocusVecEnv(3, network=tiny_network, dataset=tiny_dataset)
    env.reset()
    actions = np.zeros((3, 2), np.float32)
    expected, *others = env.vector_env.step(actions)
    env.vector_env.step = lambda actions: (expected, *others)
    observation, _, _, _ = env.step(actions)
    assert all(observation[key] is value for key, value in expected.items())
