"""The committed network does what the figures beside it say, and what the task needs of it."""

import json
from importlib import resources

import numpy as np
import pytest

import agents
import gf_env
from gf_env.image_classifier import load_image_classifier, measure_accuracy

ASSETS = resources.files("gf_env") / "assets"


@pytest.fixture(scope="module")
def figures():
    return json.loads((ASSETS / "cluttered-digits.json").read_text())


def test_full_resolution_classifier(figures):
    classifier = load_image_classifier(
        str(ASSETS / "full_resolution" / "cluttered-digits.safetensors")
    )
    accuracy = measure_accuracy(classifier, gf_env.load_dataset("cluttered-digits", "test"))
    assert accuracy == pytest.approx(figures["full_resolution_accuracy"], abs=0.002)
    assert accuracy >= 0.975


def test_glance_random_and_oracle(figures):
    random = gf_env.evaluate(agents.RandomPolicy(), split="test")
    assert len(random.labels) == figures["test_images"] == 2000
    assert 0.40 <= random.accuracy[0] <= 0.60
    assert random.accuracy[4] <= 0.70
    oracle = gf_env.evaluate(agents.GreedyOracle(7), split="test")
    assert oracle.accuracy[4] >= 0.97
    recorded = figures["accuracy_per_look"]
    assert random.accuracy == pytest.approx(recorded["random"], abs=0.005)
    assert oracle.accuracy == pytest.approx(recorded["greedy_oracle"], abs=0.005)


def test_reward_means_the_same_on_train_and_test_scenes():
    for policy in (agents.RandomPolicy, agents.GreedyOracle):
        returns = [
            gf_env.evaluate(policy(), split=split, num_images=2000).mean_return
            for split in ("train", "test")
        ]
        assert abs(np.diff(returns)[0]) <= 0.05


def test_files_are_small():
    sizes = [
        len((ASSETS / name).read_bytes())
        for name in ("cluttered-digits.safetensors", "full_resolution/cluttered-digits.safetensors")
    ]
    assert sum(sizes) <= 4 * 2**20
