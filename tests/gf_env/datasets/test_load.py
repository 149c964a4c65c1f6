import json

import pytest

from gf_env.datasets import Augmented, ImageSpec, load_dataset


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


def test_sizes(tmp_path):
    with pytest.raises(ValueError, match="only cluttered-digits can be made in any size, not"):
        load_dataset(tmp_path, "train", size=3)
    with pytest.raises(ValueError, match="one scene or more, got size=0"):
        load_dataset("cluttered-digits", "test", size=0)


@pytest.mark.parametrize("dataset", ["cluttered-digits", "nowhere", None])
def test_what_to_do_about_unreadable_images_is_checked_first(dataset, tiny_dataset):
    with pytest.raises(ValueError, match=r"\['stop', 'skip'\], got 'ignore'"):
        load_dataset(dataset or tiny_dataset, "test", unreadable="ignore")


def test_data_sets_in_memory_have_no_unreadable_images(tiny_dataset):
    assert load_dataset(tiny_dataset, "test", unreadable="skip") is tiny_dataset
    digits = load_dataset("cluttered-digits", "test", size=3, unreadable="skip")
    assert digits is load_dataset("cluttered-digits", "test", size=3)
    assert not isinstance(digits, Augmented)


def test_an_object_is_returned_as_it_is(tiny_dataset):
    assert load_dataset(tiny_dataset, "test") is tiny_dataset


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
        ({"std": [0, 0, 0]}, "mean and std need one value for each of 1 channels"),
        ({"crop_fraction": 0}, "crop_fraction must be greater than 0"),
        ({"crop_fraction": 1.2}, "crop_fraction must be less than or equal to 1"),
        ({"resize_interpolation": "area"}, "must be 'bilinear' or 'bicubic', got 'area'"),
        ({"size": 3}, "size Unexpected keyword"),
    ],
)
def test_impossible_specs(changes, message):
    with pytest.raises(ValueError, match=f"^ImageSpec: .*{message}"):
        ImageSpec(**{**SPEC, **changes})
