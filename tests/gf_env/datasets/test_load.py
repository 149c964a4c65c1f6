import pytest

from gf_env.datasets import Augmented, ImageSpec, load_dataset


def test_unknown_dataset_and_size():
    with pytest.raises(ValueError, match=r"unknown dataset 'nowhere'.*'cluttered-digits'.*folder"):
        load_dataset("nowhere", "train")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        load_dataset("cluttered-digits", "dev")


def test_size_is_for_the_built_in_task_only(tmp_path):
    with pytest.raises(ValueError, match="any size"):
        load_dataset(tmp_path, "train", size=3)


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


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 1, ("a", "b"), (0.5,), (0.5,)),
        (8, 2, ("a", "b"), (0.5,) * 2, (0.5,) * 2),
        (8, 1, ("a",), (0.5,), (0.5,)),
        (8, 3, ("a", "b"), (0.5,), (0.5,) * 3),
    ],
)
def test_impossible_specs(arguments):
    with pytest.raises(ValueError, match=r"image_size|channels|classes"):
        ImageSpec(*arguments)
