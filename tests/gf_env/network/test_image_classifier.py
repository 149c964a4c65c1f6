import dataclasses

import pytest
import torch

from gf_env.network.image_classifier import (
    FILE_KIND,
    ImageClassifier,
    ImageClassifierConfig,
    load_image_classifier,
)
from gf_env.storage.tensors import TensorFileError, save_tensors
from tests.helpers.tiny import random_dataset

CONFIG = ImageClassifierConfig("small-cnn", 8, "area", random_dataset(3).spec)


def test_save_and_load(tmp_path):
    made = ImageClassifier(CONFIG).eval()
    made.save(tmp_path / "classifier.safetensors")
    loaded = load_image_classifier(tmp_path / "classifier.safetensors")
    images = random_dataset(3).images(range(3))
    assert loaded.config == CONFIG
    assert torch.equal(loaded(images), made(images))
    assert not loaded.training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": 0}, "input_size must be greater than 0"),
        ({"interpolation": "nearest"}, "interpolation must be 'bilinear', 'bicubic' or 'area'"),
        ({"images": {"image_size": 16}}, "channels"),
    ],
)
def test_files_of_a_configuration_that_cannot_be(tmp_path, changes, message):
    path = tmp_path / "classifier.safetensors"
    save_tensors(path, FILE_KIND, {**dataclasses.asdict(CONFIG), **changes}, {})
    with pytest.raises(TensorFileError, match=f"{path} holds a configuration .*{message}"):
        load_image_classifier(path)
