import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import agents
import gf_env
from gf_env.datasets import load_dataset
from gf_env.envs.make_task import make_task
from gf_env.feature_bank.bank import ImageIndices
from gf_env.feature_bank.bank_file import BankFile
from gf_env.geometry import Lattice
from tests.helpers.compare import (
    assert_alike,
    assert_vector_envs_alike,
    random_actions,
    to_float16,
    tolerance,
)
from tests.helpers.tiny import random_dataset, random_network

OBSERVE = ("glance", "locations", "step")
COLOUR = {"channels": 3, "mean": (0.5,) * 3, "std": (0.25,) * 3}
CONFIGS = {
    "recurrent": {},
    "cascaded": {"classifier": "cascaded", "first_step": "own_head"},
    "timm": {"encoder": "mobilenetv3_large_100", "image_size": 48, "patch_size": 32, **COLOUR},
}
LATTICES = {"grid": {"grid_size": 3}, "stride": {"lattice_stride": 3}}


@pytest.fixture(scope="module", params=[*CONFIGS, "built-in"])
def things(request, network):
    """A network and images for it."""
    if request.param == "built-in":
        return {"network": network, "dataset": load_dataset("cluttered-digits", "test", size=20)}
    made = random_network(**CONFIGS[request.param])
    images = random_dataset(12, made.config.image_size, made.config.channels)
    return {"network": made, "dataset": images}


@pytest.mark.parametrize("where", LATTICES.values(), ids=LATTICES)
def test_episodes_are_those_of_the_direct_path(things, where):
    if "lattice_stride" in where and things["network"].config.image_size == 96:
        where = {"lattice_stride": 30}
    banked = make_task(**things, **where, observe=OBSERVE, feature_bank=True)
    direct = make_task(**things, **where, observe=OBSERVE)
    assert banked.observation_space == direct.observation_space
    assert banked.actions.space == direct.actions.space
    indices = np.array([3, 0, 11, 3])
    states = [task.start(indices) for task in (banked, direct)]
    rng = np.random.default_rng(0)
    looks = []
    for _ in range(4):
        actions = np.stack([random_actions(direct.actions.space, rng) for _ in range(4)])
        seen = []
        for number, task in enumerate((banked, direct)):
            state = states[number]
            before = task.observation(state), task.info(state, indices, state.stopped.numpy())
            states[number], rewards, ended = task.step(state, task.actions.decode(actions, 4))
            seen.append((*before, rewards.numpy(), ended.numpy()))
        assert_alike(*seen, to_float16)
        looks.append(states[1].features)
    tasks, ended = (banked, direct), ended.numpy()
    infos = (task.info(s, indices, ended) for task, s in zip(tasks, states, strict=True))
    assert_alike(*infos, to_float16)
    assert torch.equal(states[0].locations, states[1].locations)
    others = (looks[0] - looks[1]).abs().max()
    assert others > 5 * tolerance(looks[0].numpy())  # other patches would have been noticed


@pytest.mark.parametrize(
    ("env_id", "where"),
    [
        ("GlanceFocusGrid-v0", {"grid_size": 3}),
        ("GlanceFocusGrid-v0", {}),
        ("GlanceFocus-v0", {"lattice_stride": 3}),
    ],
)
def test_single_environment(tiny, env_id, where):
    arguments = {**tiny, "observe": OBSERVE, **where}
    seen, frames = [], []
    for more in ({"feature_bank": True}, {}):
        env = gym.make(env_id, **arguments, **more, render_mode="rgb_array")
        rng = np.random.default_rng(0)
        seen.append([env.reset(seed=4)])
        seen[-1] += [env.step(random_actions(env.action_space, rng)) for _ in range(4)]
        frames.append(env.render())
    assert_alike(*seen, to_float16)
    assert (frames[0] != frames[1]).mean() < 0.01  # a bar may be a pixel longer


# about half of the episodes end at each look with these, so that rows run out of step
EXITS = (0.0, 0.5, 0.6, 0.6, 0.0)


@pytest.mark.parametrize("exits", [None, EXITS])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_vector_environment(digits, mode, exits):
    arguments = {**digits, "grid_size": 3, "exit_thresholds": exits, "autoreset_mode": mode}
    banked, direct = (
        gym.make_vec("GlanceFocusGrid-v0", num_envs=5, **arguments, **more)
        for more in ({"feature_bank": True}, {})
    )
    ends, partial = assert_vector_envs_alike(banked, direct, to_float16, steps=12)
    assert ends >= 5
    assert (partial > 0) == (exits is not None)


def test_vector_environment_equals_single_ones(tiny):
    arguments = {**tiny, "feature_bank": True}
    native = gym.make_vec("GlanceFocusGrid-v0", num_envs=3, **arguments)
    single = [lambda: gym.make("GlanceFocusGrid-v0", **arguments)] * 3
    reference = SyncVectorEnv(single, autoreset_mode=AutoresetMode.SAME_STEP)
    assert_vector_envs_alike(native, reference, to_float16, steps=6)


def test_rendering_shows_the_pixels(tiny):
    banked, direct = (make_task(**tiny, grid_size=3, feature_bank=bank) for bank in (True, None))
    indices = np.array([5, 2, 9])
    states = [task.start(indices) for task in (banked, direct)]
    assert states[0].images.tolist() == [5, 2, 9]
    rows = torch.tensor([2, 0])
    for take in (lambda state: state, lambda state: state.take(rows)):
        found, expected = banked.pixels(take(states[0])), direct.pixels(take(states[1]))
        assert found.dtype == torch.uint8
        assert torch.equal(found, expected)


class Wanderer:
    """Looks at places that are not on the lattice, each time at others."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        turn = 0 if state is None else state
        count = len(observation["features"])
        return np.tile(np.float32([0.4 * turn - 0.7, 0.9 - 0.6 * turn]), (count, 1)), turn + 1


@pytest.mark.parametrize("where", [{"lattice_stride": 30}, {"lattice_stride": 7}])
def test_evaluation(digits, where):
    found, expected = (
        gf_env.evaluate(Wanderer(), **digits, **where, feature_bank=bank, batch_size=batch_size)
        for bank, batch_size in ((True, 7), (None, 20))
    )
    assert_alike(vars(found), vars(expected), to_float16)
    assert np.array_equal(found.locations, expected.locations)
    assert len(np.unique(found.locations[0], axis=0)) == 4


def test_greedy_oracle(digits):
    """On a bank it finds looks that are as good; which of two equal ones is left to rounding."""
    found, expected = (
        gf_env.evaluate(agents.GreedyOracle(3), **digits, grid_size=3, feature_bank=bank)
        for bank in (True, None)
    )
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=2e-3)
    assert found.confidence[:, 1:].mean() > 1.2 * found.confidence[:, 0].mean()


def test_paths_and_banks_are_taken(tiny, tmp_path):
    lattice = Lattice.strided(5, 16, 8)
    bank = BankFile(**tiny, lattice=lattice, path=tmp_path / "bank.npy").build()
    direct = make_task(**tiny, lattice_stride=5)
    for given in (bank, tmp_path / "bank.npy", str(tmp_path / "bank.npy")):
        for more in ({}, {"lattice_stride": 5}):
            task = make_task(**tiny, **more, feature_bank=given)
            assert task.rules == direct.rules
            assert task.rules.lattice == lattice
            assert torch.allclose(
                task.start(np.arange(3)).logits, direct.start(np.arange(3)).logits, atol=2e-3
            )


@pytest.mark.parametrize("given", [None, False])
def test_no_bank(tiny, given):
    task = make_task(**tiny, feature_bank=given)
    assert task.glimpse_source is tiny["network"]
    images, rows = task.images.select(np.array([3, 1]))
    assert rows is None
    assert torch.equal(images, tiny["dataset"].images([3, 1]))


def test_rows_pick_images_as_they_do_in_the_network(tiny_network, tiny_dataset, tmp_path):
    lattice = Lattice.grid(3, 16, 8)
    bank = BankFile(tiny_network, tiny_dataset, lattice, tmp_path / "bank.npy").build()
    places, rows = torch.tensor([4, 17]), torch.tensor([1, 0, 1])
    locations = torch.tensor([[0.0, 1.0], [0.6, 0.5], [1.0, 0.1]])
    found = bank.encode_patches(places, locations, rows)
    images = tiny_dataset.images(places.numpy())
    expected = tiny_network.encode_patches(images, lattice.snap(locations), rows)
    for left, right in zip(found, expected, strict=True):
        assert left.dtype == torch.float32
        assert left.shape == right.shape
        assert torch.allclose(left, right, atol=2e-3, rtol=2e-3)


def test_nobody_can_change_the_bank(tiny):
    env = gym.make("GlanceFocusGrid-v0", **tiny, feature_bank=True)
    first, _ = env.reset(options={"index": 3})
    kept = {key: value.copy() for key, value in first.items()}
    for value in first.values():
        value[:] = 1e9
    again, _ = env.reset(options={"index": 3})
    assert_alike(again, kept)


def test_images_by_their_numbers(tiny_dataset):
    source = ImageIndices(tiny_dataset, torch.device("cpu"))
    numbers, rows = source.select(np.array([7, 2]))
    assert numbers.tolist() == [7, 2]
    assert rows is None
    assert source.labels is tiny_dataset.labels
    assert torch.equal(source.pixels(numbers), tiny_dataset.images([7, 2]))
    first, second = source.batches([np.array([3]), np.array([4, 0])], augmentation_seed=1)
    assert first.images.tolist() == [3]
    assert second.images.tolist() == [4, 0]
    assert second.labels.tolist() == tiny_dataset.labels[[4, 0]].tolist()
