import numpy as np
import pytest
import torch

from gf_env.datasets import load_dataset
from gf_env.datasets.batches import Batch
from gf_env.geometry import corners
from gf_env.training.samplers import ObjectSampler, UniformSampler
from tests.helpers.tiny import random_dataset

COUNT = 4000


def drawn(sampler, batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sampler.sample(None, sampler.start(batch), generator)[0]


@pytest.fixture(scope="module")
def scenes():
    return load_dataset("signposts", "test", size=50)


@pytest.fixture
def batch(scenes):
    indices = torch.arange(COUNT) % len(scenes)
    return Batch(torch.zeros(COUNT, 1), torch.zeros(COUNT), indices)


def test_uniform_locations_fill_the_image(batch):
    locations = drawn(UniformSampler(), batch)
    assert locations.shape == (COUNT, 2)
    assert 0 <= locations.min() < 0.01 < 0.99 < locations.max() <= 1
    assert locations.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def seen(scenes, batch, locations):
    """Which objects are in the patches whole, (n, k)."""
    offsets = scenes.objects[batch.indices] - corners(locations, 96, 24)[:, None].numpy()
    sizes = np.array([12, 10, 10, 10, 10])[:, None]
    return ((offsets >= 0) & (offsets + sizes <= 24)).all(axis=2)


def test_looks_at_objects_hold_one_whole_at_any_place(scenes, batch):
    locations = drawn(ObjectSampler(scenes, 24, 1.0), batch)
    assert seen(scenes, batch, locations).any(axis=1).all()
    only_sign = ObjectSampler(scenes, 24, 1.0, (1.0, 1e-9))
    offsets = scenes.objects[batch.indices, 0] - corners(drawn(only_sign, batch), 96, 24).numpy()
    inner = (scenes.objects[batch.indices, 0] >= 12).all(axis=1)  # others cannot be far right
    assert set(offsets[inner, 0]) == set(offsets[inner, 1]) == set(range(13))


def test_shares_and_weights(scenes, batch):
    there = seen(scenes, batch, drawn(ObjectSampler(scenes, 24, 0.5), batch)).any(axis=1).mean()
    all_there = seen(scenes, batch, drawn(UniformSampler(), batch)).any(axis=1).mean()
    assert there == pytest.approx(0.5 + 0.5 * all_there, abs=0.03)
    signs = seen(scenes, batch, drawn(ObjectSampler(scenes, 24, 1.0, (4.0, 1.0)), batch))[:, 0]
    by_chance = seen(scenes, batch, drawn(ObjectSampler(scenes, 24, 1.0, (1e-9, 1.0)), batch))[:, 0]
    assert signs.mean() == pytest.approx(0.5 + 0.5 * by_chance.mean(), abs=0.03)


@pytest.mark.parametrize("sampler", [lambda scenes: ObjectSampler(scenes, 24, 0.75)])
def test_all_is_drawn_with_the_generator(scenes, batch, sampler):
    first, again, other = (drawn(sampler(scenes), batch, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: ObjectSampler(random_dataset(), 24, 0.5), "arrays does not say where its obj"),
        (lambda scenes: ObjectSampler(scenes, 8, 0.5), "objects of 12 pixels do not fit into pat"),
    ],
)
def test_errors(scenes, make, message):
    with pytest.raises(ValueError, match=message):
        make(scenes)
