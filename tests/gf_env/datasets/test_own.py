"""Data sets of the user's, named as `package.module:Name`."""

import gymnasium as gym
import numpy as np
import pytest

import gf_env
from agents import CentrePolicy
from gf_env.datasets import load_dataset
from gf_env.datasets.load import has_split
from tests.helpers import own_datasets
from tests.helpers.tiny import random_network

NAMES = ["Takes", "make", "TAKEN"]
LIKE = random_network().config.image_spec


def named(name):
    return f"tests.helpers.own_datasets:{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_class_a_function_and_an_object(name):
    data = load_dataset(named(name), "train", like=LIKE)
    assert (data.split, len(data), data.labels.tolist()) == ("train", 4, [0, 1, 2, 0])
    assert data.images(np.array([2, 1])).shape == (2, 1, 16, 16)
    assert has_split(named(name), "train")
    assert not has_split(named(name), "pretrain")
    with pytest.raises(ValueError, match="'pretrain'"):
        load_dataset(named(name), "pretrain")


def test_what_is_asked_for_is_passed_on():
    assert load_dataset(named("Takes"), "test", like=LIKE).like is LIKE
    assert load_dataset(named("Takes"), "test").like is None
    assert load_dataset(named("TAKEN"), "train") is own_datasets.TAKEN


@pytest.mark.parametrize("name", NAMES)
def test_environments(name):
    arguments = {"dataset": named(name), "network": random_network()}
    env = gym.make("GlanceFocus-v0", **arguments)
    _, info = env.reset(seed=0)
    assert 0 <= info["index"] < 4
    batch = gym.make_vec("GlanceFocus-v0", num_envs=3, **arguments)
    assert batch.reset(seed=0)[0]["features"].shape[0] == 3
    evaluated = gf_env.evaluate(CentrePolicy(), **{**arguments, "split": "train"})
    assert evaluated.labels.tolist() == [0, 1, 2, 0]


def test_a_module_in_the_working_folder(tmp_path, monkeypatch):
    source = "from tests.helpers.own_datasets import Takes as Photos\n"
    (tmp_path / "photos_for_a_test.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("photos_for_a_test:Photos", "train")) == 4


def test_a_folder_goes_before_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos:Train" / "test" / "x").mkdir(parents=True)
    assert has_split("photos:Train", "test")
    with pytest.raises(ValueError, match="no images in the class folders"):
        load_dataset("photos:Train", "test")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "has no 'Missing'; it has .*'Takes'"),
        ("NOTHING", r"gave int, which is no data set: it lacks \['name', .*'images'\]"),
        ("needs_more", r"needs_more\(split, root\).*missing a required argument: 'root'"),
        ("needs_no_split", "gave split 'train' where 'test' was asked for.*takes `split`"),
        ("wrong_spec", "spec of .* must be a gf_env.ImageSpec, got dict"),
        ("empty", "split 'test' of .* has no images"),
        ("label_list", r"labels of .* must be a NumPy array, \(4,\) int64 in \[0, 3\), got list"),
        ("labels_of_other_type", r"got ndarray \(4,\) int32"),
        ("too_few_labels", r"got ndarray \(3,\) int64"),
        ("label_too_large", r"int64 in \[0, 3\).*\[0, 3, 1, 2\]"),
        ("negative_label", r"int64 in \[0, 3\).*\[0, -1, 1, 2\]"),
        ("float_images", r"must be tensors, \(1, 1, 16, 16\) uint8.*torch.float32"),
        ("colour_images", r"got \(1, 3, 16, 16\) torch.uint8"),
        ("array_images", "got ndarray"),
    ],
)
def test_what_is_no_data_set(name, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(named(name), "test")
    assert not has_split(named(name), "test")


def test_an_error_of_the_users_own_is_seen_as_it_is():
    with pytest.raises(ZeroDivisionError):
        load_dataset(named("broken"), "test")
    with pytest.raises(KeyError, match="test"):
        load_dataset(named("splits_in_a_dictionary"), "test")
    assert not has_split(named("splits_in_a_dictionary"), "test")


def test_labels_that_are_made_as_they_are_indexed():
    data = load_dataset(named("lazy_labels"), "test")
    assert data.labels[np.array([2, 3])].tolist() == [2, 0]
