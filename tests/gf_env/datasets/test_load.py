import json

import numpy as np
import pytest

from gf_env.datasets import Augmented, Dataset, ImageSpec, load_dataset
from gf_env.datasets.scenes.registry import SCENES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "train"), "unknown dataset 'nowhere'.*'cluttered-digits'.*folder"),
        (("cluttered-digits", "dev"), "unknown split 'dev'.*pretrain.*train.*validation.*test"),
        (("cluttered-digits", ""), "unknown split ''"),
        (("cluttered-digits", "Train"), "unknown split 'Train'"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(*arguments)


def test_sizes(tmp_path, tiny_dataset):
    for dataset, name in ((tmp_path, str(tmp_path)), (tiny_dataset, "arrays"), ("no", "no")):
        message = (
            f"a size is for built-in data sets .*'cluttered-digits', .*; leave it out for '{name}'"
        )
        with pytest.raises(ValueError, match=message):
            load_dataset(dataset, "train", size=3)
    for size in (0, -5, 2.5, "10", 2**63):
        with pytest.raises(ValueError, match=rf"1 to 2\*\*63 - 1, got size={size!r}"):
            load_dataset("cluttered-digits", "test", size=size)


@pytest.mark.parametrize("name", SCENES)
def test_every_built_in_task_is_a_data_set_of_its_name(name):
    data = load_dataset(name, "test", size=3)
    assert isinstance(data, Dataset)
    assert (data.name, data.split, len(data), len(data.labels)) == (name, "test", 3, 3)
    size = data.spec.image_size
    assert data.images(np.array([2, 0])).shape == (2, data.spec.channels, size, size)
    assert load_dataset(name, "test", size=3) is data  # shared by all who ask


@pytest.mark.parametrize("dataset", ["cluttered-digits", "nowhere", None])
def test_what_to_do_about_unreadable_images_is_checked_first(dataset, tiny_dataset):
    with pytest.raises(ValueError, match=r"\['stop', 'skip'\], got 'ignore'"):
        load_dataset(dataset or tiny_dataset, "test", unreadable="ignore")


def test_data_sets_in_memory_have_no_unreadable_images(tiny_dataset):
    for unreadable in ("stop", "skip"):
        assert load_dataset(tiny_dataset, "test", unreadable=unreadable) is tiny_dataset
    digits = load_dataset("cluttered-digits", "test", size=3, unreadable="skip")
    assert not isinstance(digits, Augmented)


SPEC = {"image_size": 8, "channels": 1, "classes": ["a", "b"], "mean": [0], "std": [0.5]}


def test_a_spec_from_json():
    spec = ImageSpec(**SPEC)
    assert (spec.classes, spec.mean, spec.std) == (("a", "b"), (0,), (0.5,))
    assert json.dumps(spec.mean) == "[0]"  # digests of data sets are taken over this text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 0}, "image_size must be greater than 0, got 0"),
        ({"channels": 2, "mean": [0, 0], "std": [1, 1]}, "channels must be 1 or 3, got 2"),
        ({"classes": ["a"]}, "classes .* at least 2 items"),
        ({"mean": [0, 0, 0]}, r"mean and std need one value .* got \(0, 0, 0\) and \(0.5,\)"),
        ({"std": [1, 1, 1]}, "mean and std need one value for each of 1 channels"),
        ({"crop_fraction": 0}, "crop_fraction must be greater than or equal to 0.1"),
        ({"std": [0]}, "std.0 must be greater than 0"),
        ({"crop_fraction": 1.2}, "crop_fraction must be less than or equal to 1"),
        ({"resize_interpolation": "area"}, "must be 'bilinear' or 'bicubic', got 'area'"),
        ({"size": 3}, "size Unexpected keyword"),
    ],
)
def test_impossible_specs(changes, message):
    with pytest.raises(ValueError, match=f"^ImageSpec: .*{message}"):
        ImageSpec(**{**SPEC, **changes})
