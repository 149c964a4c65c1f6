"""What holds of any patch, episode and file, not only of those that somebody thought of."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gf_env import geometry
from gf_env.envs import episodes
from gf_env.envs.actions import action_codec
from gf_env.envs.make_task import make_task
from gf_env.storage.tensors import load_tensors, save_tensors
from gf_env.storage.torch_pickles import read_pickle
from gf_env.training.checkpoints import load_state, save_state
from tests.helpers.tiny import random_dataset, random_network

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FEW = settings(QUICK, max_examples=10)
"""For what waits for the disk."""
NETWORK, DATASET = random_network(), random_dataset()
COORDINATES = st.floats(-1e6, 1e6, width=32)


@QUICK
@given(
    st.integers(1, 400),
    st.data(),
    st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES), min_size=1, max_size=20),
    st.booleans(),
)
def test_any_action_is_a_patch_inside_the_image(image_size, data, actions, stop):
    patch_size = data.draw(st.integers(1, image_size))
    codec = action_codec(None, image_size, patch_size, torch.device("cpu"), stop=stop)
    values = np.array(actions, np.float32)[:, : 2 + stop]
    look = codec.decode(np.clip(values, -1, 1), len(values))
    corners = geometry.corners(look.locations, image_size, patch_size)
    assert ((corners >= 0) & (corners <= image_size - patch_size)).all()


@QUICK
@given(st.integers(1, 12), st.integers(1, 200), st.data())
def test_any_number_of_a_grid_is_a_patch_inside_the_image(grid_size, image_size, data):
    patch_size = data.draw(st.integers(1, image_size))
    codec = action_codec(grid_size, image_size, patch_size, torch.device("cpu"))
    look = codec.decode(np.arange(grid_size**2), grid_size**2)
    corners = geometry.corners(look.locations, image_size, patch_size)
    assert ((corners >= 0) & (corners <= image_size - patch_size)).all()


@QUICK
@given(st.floats(0, 0.5), st.integers(2, 6), st.integers(0, 10**6))
def test_returns_telescope_with_prices(look_cost, length, seed):
    """An episode earns what the true class's probability gained, less the price of its looks."""
    task = make_task(network=NETWORK, dataset=DATASET, look_cost=look_cost, sequence_length=length)
    rng = np.random.default_rng(seed)
    state = task.start(rng.integers(0, 20, 5))
    first, total = episodes.readout(state).confidence, torch.zeros(5)
    for number in range(1, length):
        look = task.actions.decode(rng.uniform(-1, 1, (5, 2)).astype(np.float32), 5)
        state, reward, terminated = task.step(state, look)
        total += reward
        assert terminated.tolist() == [number == length - 1] * 5
    gained = episodes.readout(state).confidence - first
    assert torch.allclose(total, gained - look_cost * (length - 1), atol=1e-5)


NUMBERS = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8])
SHAPES = st.lists(st.integers(0, 4), max_size=4)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner)
)


@FEW
@given(st.dictionaries(st.text(), st.tuples(NUMBERS, SHAPES), max_size=5), st.text())
def test_tensors_come_back_as_they_were(tmp_path, described, text):
    described.pop("__metadata__", None)
    tensors = {name: torch.ones(shape).to(dtype) for name, (dtype, shape) in described.items()}
    path = tmp_path / "file.safetensors"
    save_tensors(path, "kind", {"text": text}, tensors)
    config, found = load_tensors(path, "kind")
    assert config == {"text": text} and found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value)
    before = path.read_bytes()
    save_tensors(path, "kind", config, found)
    assert path.read_bytes() == before


@FEW
@given(st.dictionaries(st.text(), NESTED))
def test_states_come_back_as_they_were(tmp_path, state):
    save_state(tmp_path / "last.safetensors", state)
    assert load_state(tmp_path / "last.safetensors") == state


@FEW
@given(st.binary(max_size=300))
@pytest.mark.parametrize(
    "load", [lambda path: load_tensors(path, "kind"), load_state, read_pickle], ids=range(3)
)
def test_random_bytes_are_refused(tmp_path, load, content):
    path = tmp_path / "file"
    for begin in (b"", b"PK\x03\x04", b"\x80\x02", len(content).to_bytes(8, "little")):
        path.write_bytes(begin + content)
        with pytest.raises(ValueError, match="file"):
            load(path)


def test_prices_are_finite():
    with pytest.raises(ValueError):
        make_task(network=NETWORK, dataset=DATASET, look_cost=math.nan)
