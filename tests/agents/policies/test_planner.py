"""Planners and foils on every built-in task at every level, and where they cannot be."""

import numpy as np
import pytest

import agents
from agents.registry.policies import make_policy
from gf_env.datasets.scenes.base import EndlessScenes, load_scenes
from gf_env.datasets.scenes.digits_apart import DIGIT_SIZE
from gf_env.datasets.scenes.registry import DATA_SETS, SCENES
from gf_env.evaluation import evaluate
from gf_env.geometry import Lattice
from tests.agents.policies.made import patch_corners
from tests.helpers.tiny import random_dataset, random_network

PATCH = 24


def network_for(kind):
    spec = kind.spec
    shape = {"image_size": spec.image_size, "patch_size": PATCH, "channels": spec.channels}
    return random_network(**shape, classes=spec.classes, mean=spec.mean, std=spec.std)


def looks_of(policy, kind, dataset, **task):
    """Return the patches' corners, (n, looks, 2)."""
    run = evaluate(policy, network=network_for(kind), dataset=dataset, **task)
    flat = run.locations.reshape(-1, 2) * 2 - 1
    return np.reshape(patch_corners(flat, kind.spec.image_size, PATCH), run.locations.shape)


def orders(needed, count):
    return {
        "planner": [*range(needed)],
        "wrong-order": [*reversed(range(needed))],
        "digits-only": [*range(1, count)] or [0],
        "one-object": [0],
    }


@pytest.mark.parametrize("policy", orders(1, 1))
@pytest.mark.parametrize("name", [name for name in SCENES if name not in DATA_SETS])
def test_objects_are_in_the_middle_of_looks_in_their_order(name, policy):
    kind = SCENES[name]
    scenes = load_scenes(kind, "test", 12)
    order = orders(2 if "signposts" in name else kind.num_objects, kind.num_objects)[policy]
    order = (order + order[-1:] * 4)[:4]  # stays at the last
    looks = looks_of(make_policy(policy, network=None), kind, scenes, sequence_length=5)
    objects = scenes.objects[:, order]
    assert np.all((looks <= objects) & (objects + DIGIT_SIZE <= looks + PATCH))
    at_the_rim = (looks == 0) | (looks == kind.spec.image_size - PATCH)
    sizes = np.array(kind.content_sizes)[scenes.contents[:, order], None]
    off_centre = np.abs(objects + sizes / 2 - (looks + PATCH / 2))
    assert np.all(at_the_rim | (off_centre <= 0.5))
    assert not at_the_rim.all()


def test_batches_and_scenes_that_are_never_stored_make_no_difference():
    kind = SCENES["signposts"]
    policy = agents.ObjectPolicy([2, 0])
    stored = looks_of(policy, kind, load_scenes(kind, "test", 10), sequence_length=3)
    endless = EndlessScenes(kind, "test", 10)
    made = looks_of(policy, kind, endless, sequence_length=3, batch_size=4)
    assert np.array_equal(stored, made)


def test_on_a_grid_the_nearest_patch_is_taken():
    kind = SCENES["digit-sums"]
    scenes = load_scenes(kind, "test", 10)
    policy, lines = agents.ObjectPolicy(), Lattice.grid(7, 96, PATCH).lines
    anywhere = looks_of(policy, kind, scenes)
    on_grid = looks_of(policy, kind, scenes, grid_size=7)
    assert {*np.unique(on_grid)} <= {*lines}
    assert np.abs(on_grid - anywhere).max() <= 6  # lines are 12 pixels apart


@pytest.mark.parametrize("order", ["backwards", [], ()])
def test_orders_that_cannot_be(order):
    with pytest.raises(ValueError, match=r"order .*"):
        agents.ObjectPolicy(order)


def test_data_sets_without_such_objects(tiny_network):
    kind = SCENES["digit-sums"]
    with pytest.raises(ValueError, match=r"has objects 0 to 1, but the order has \[2, -1\]"):
        looks_of(agents.ObjectPolicy([0, 2, -1]), kind, load_scenes(kind, "test", 10))
    with pytest.raises(ValueError, match="arrays does not say where its objects are"):
        evaluate(agents.ObjectPolicy(), network=tiny_network, dataset=random_dataset())
