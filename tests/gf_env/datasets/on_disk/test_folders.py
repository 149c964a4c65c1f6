import numpy as np
import pytest
from PIL import Image

from gf_env.datasets import Dataset, ImageSpec, load_dataset
from tests.helpers.image_trees import BLUE, LIKE, RED, write_image, write_tree


def test_a_tree(tmp_path):
    data = load_dataset(write_tree(tmp_path), "train", like=LIKE)
    assert isinstance(data, Dataset)
    assert data.spec == ImageSpec(32, 3, ("cat", "dog"), (0.5,) * 3, (0.2,) * 3)
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.num_skipped == 0
    images = data.images(np.array([0, 5]))
    assert images.shape == (2, 3, 32, 32)
    assert str(images.dtype) == "torch.uint8"
    assert images[0, :, 16, 16].tolist() == list(RED)
    assert images[1, :, 16, 16].tolist() == list(BLUE)
    assert len(load_dataset(tmp_path, "validation", like=LIKE)) == 4


def test_in_grey_and_in_imagenets_size(tmp_path):
    write_tree(tmp_path)
    grey = ImageSpec(24, 1, ("x", "y"), (0.5,), (0.2,))
    assert load_dataset(tmp_path, "train", like=grey).images(np.array([1])).shape == (1, 1, 24, 24)
    default = load_dataset(str(tmp_path), "train")
    assert default.spec.image_size == 224
    assert default.spec.mean == (0.485, 0.456, 0.406)


def test_classes_may_have_folders_but_hidden_ones_are_none(tmp_path):
    write_image(write_tree(tmp_path) / "train" / "cat" / "more" / "9.png", Image.new("L", (9, 9)))
    (tmp_path / "train" / ".thumbnails").mkdir()
    data = load_dataset(tmp_path, "train")
    assert data.labels.tolist() == [0] * 4 + [1] * 3
    assert data.spec.classes == ("cat", "dog")


def test_a_missing_split(tmp_path):
    with pytest.raises(ValueError, match=r"no split 'train'.*folder train.*no folders at all"):
        load_dataset(tmp_path, "train")
    with pytest.raises(ValueError, match=r"no split 'test'.*\['train', 'val'\]"):
        load_dataset(write_tree(tmp_path), "test")
    with pytest.raises(ValueError, match=r"'validation'.*validation or val.*\['cat', 'dog'\]"):
        load_dataset(tmp_path / "train", "validation")


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split(tmp_path, split):
    (tmp_path / split).mkdir()
    write_image(tmp_path / split / "stray.png", Image.new("L", (8, 8)))
    with pytest.raises(ValueError, match=rf"no class folders in .*{split}: expected one folder"):
        load_dataset(tmp_path, split)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_class(tmp_path, split):
    write_tree(tmp_path)
    for part in ("train", "val"):
        write_image(tmp_path / part / "bird" / "0.png", Image.new("L", (8, 8)))
    (tmp_path / split / "bird" / "0.png").rename(tmp_path / split / "bird" / "0.txt")
    with pytest.raises(ValueError, match=rf"no images .*\['bird'\] of .*{split}: .*'\.png'"):
        load_dataset(tmp_path, split)


def test_other_classes_than_in_train(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "val" / "cat").rename(tmp_path / "val" / "emu")
    expected = r"val and .*train must.*missing in val are \['cat'\], unknown to train are \['emu'\]"
    with pytest.raises(ValueError, match=expected):
        load_dataset(tmp_path, "validation")
    assert load_dataset(tmp_path, "train").spec.classes == ("cat", "dog")


def test_a_class_that_is_missing_or_foreign_alone(tmp_path):
    write_tree(tmp_path)
    write_image(tmp_path / "train" / "ant" / "0.png", Image.new("L", (8, 8)))
    with pytest.raises(ValueError, match=r"missing in val are \['ant'\].* train are \[\]"):
        load_dataset(tmp_path, "validation")
    (tmp_path / "train" / "ant").rename(tmp_path / "val" / "ant")
    with pytest.raises(ValueError, match=r"missing in val are \[\].* train are \['ant'\]"):
        load_dataset(tmp_path, "validation")


def test_a_tree_without_train(tmp_path):
    (write_tree(tmp_path) / "train").rename(tmp_path / "other")
    assert len(load_dataset(tmp_path, "validation")) == 4
