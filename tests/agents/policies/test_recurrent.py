import numpy as np
import pytest
import torch

from gf_env.geometry import Lattice, location_to_action
from tests.agents.policies.made import MAPPED, observe, paper_policy, recurrent_policy


def test_only_what_is_seen_makes_a_difference():
    policy = recurrent_policy({"hidden_state": (6,), "step": (1,)})
    assert policy.observe == ("step",)
    observation = {**observe(2), "step": np.ones((2, 1), np.float32)}
    actions, _ = policy.predict(observation, deterministic=True)
    blind = {**observation, "features": observation["features"] * 0}
    assert np.array_equal(policy.predict(blind, deterministic=True)[0], actions)
    later = {**observation, "step": observation["step"] * 3}
    assert not np.allclose(policy.predict(later, deterministic=True)[0], actions)


def test_the_map_gathers_looks_and_is_cleared_with_the_episode():
    policy = recurrent_policy(MAPPED, grid_size=3, recurrent=False, map_channels=2)
    observation = observe(4)
    state = None
    for step in (1, 2, 3):
        observation["step"] = np.full((4, 1), step, np.float32)
        starts = np.array([step == 1] * 3 + [step == 2])  # the last begins again
        _, state = policy.predict(observation, state, starts, deterministic=True)
    looks = state.reshape(4, 9, 3)[..., 0].sum(1)
    # a look each at steps 2 and 3; at step 1 there is only the glance
    assert looks.tolist() == [2, 2, 2, 2]
    _, fresh = policy.predict(observation, state, np.ones(4, bool), deterministic=True)
    assert fresh.reshape(4, 9, 3)[..., 0].sum(1).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("deterministic", [True, False])
def test_no_patch_is_looked_at_twice(deterministic, stop):
    """On a grid of two by two, all are open again once the fourth has been looked at.

    To stop is always open.
    """
    shapes = {"locations": (5, 2), "step": (1,)}
    policy = recurrent_policy(shapes, grid_size=2, map_channels=1, repeats=False, stop=stop)
    if stop:  # but here it does not
        torch.nn.init.zeros_(policy.network.actor.stop.weight)
        torch.nn.init.constant_(policy.network.actor.stop.bias, -20)
    places = location_to_action(Lattice.grid(2, 96, 24).locations()).numpy()
    observation = {"locations": np.zeros((50, 5, 2), np.float32)}
    state, chosen = None, []
    for step in range(1, 6):
        observation["step"] = np.full((50, 1), step, np.float32)
        starts = np.full(50, step == 1)
        actions, state = policy.predict(observation, state, starts, deterministic)
        observation["locations"][:, step - 1] = places[actions]
        chosen.append(actions)
    assert (np.sort(np.stack(chosen[:4]), axis=0) == np.arange(4)[:, None]).all()
    choice, _ = policy.network.replay(
        {
            "locations": torch.from_numpy(observation["locations"]).expand(5, -1, -1, -1),
            "step": torch.arange(1.0, 6)[:, None, None].expand(5, 50, 1),
        }
    )
    assert not stop or torch.allclose(choice[..., 4], torch.tensor(-20.0))
    ruled_out = (choice < -100).sum(-1)
    assert ruled_out.tolist() == [[count] * 50 for count in (0, 1, 2, 3, 0)]
    assert torch.allclose(choice.exp().sum(-1), torch.ones(5, 50))


def test_samples_reach_the_edges_of_the_image():
    actions, _ = recurrent_policy(std=0.5).predict(observe(500))
    assert (actions.min(), actions.max()) == (-1, 1)


def test_samples_of_the_papers_policy_scatter_around_the_mean():
    policy, seen = paper_policy(), {"features": np.zeros((4000, 4, 2, 2), np.float32)}
    mean, _ = policy.predict(seen, deterministic=True)
    sampled, _ = policy.predict(seen)
    assert np.std(sampled - mean) == pytest.approx(0.2, abs=0.01)  # 0.1 of a location
