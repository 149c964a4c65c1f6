import os

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

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


def files_of(data):
    return [data._source.place(index) for index in range(len(data))]


@pytest.mark.parametrize("target", [".", "..", "../..", "cat"])
def test_links_that_go_in_circles(tmp_path, target):
    write_tree(tmp_path)
    before = files_of(load_dataset(tmp_path, "train"))
    place = tmp_path / "train" / "cat"
    (place / "link").symlink_to((place / target).resolve() if target != "cat" else place)
    (place / "more").mkdir()
    (place / "more" / "link").symlink_to("..")
    assert files_of(load_dataset(tmp_path, "train")) == before


def test_each_real_file_is_taken_once(tmp_path):
    write_tree(tmp_path / "tree")
    others = tmp_path / "elsewhere"
    write_image(others / "8.png", Image.new("L", (9, 9)))
    cats = tmp_path / "tree" / "train" / "cat"
    for name in ("a", "b"):
        (cats / name).symlink_to(others)
    (cats / "9.png").symlink_to(cats / "0.png")
    data = load_dataset(tmp_path / "tree", "train")
    assert data.labels.tolist() == [0] * 4 + [1] * 3
    assert len([path for path in files_of(data) if path.endswith("8.png")]) == 1


def test_files_are_in_the_order_of_torchvision(tmp_path):
    write_tree(tmp_path)
    for name in ("b/1.png", "a/2.PNG", "a/b/0.jpg", "Z/0.bmp"):
        write_image(tmp_path / "train" / "dog" / name, Image.new("L", (9, 9)))
    found = files_of(load_dataset(tmp_path, "train"))
    assert found == [path for path, _ in ImageFolder(str(tmp_path / "train")).samples]


def test_a_gif_is_an_image(tmp_path):
    write_tree(tmp_path)
    write_image(tmp_path / "train" / "dog" / "9.gif", Image.new("RGB", (9, 9), BLUE))
    data = load_dataset(tmp_path, "train", like=LIKE)
    assert data.images(np.array([6]))[0, :, 16, 16].tolist() == list(BLUE)


@pytest.mark.parametrize("split", ["..", ".", "train/cat", "../other", ""])
def test_a_split_is_a_folders_name(tmp_path, split):
    write_tree(tmp_path / "tree")
    with pytest.raises(ValueError, match="a split is the name of a folder"):
        load_dataset(tmp_path / "tree", split)


def test_a_pipe_is_no_image(tmp_path):
    write_tree(tmp_path)
    os.mkfifo(tmp_path / "train" / "dog" / "9.png")
    data = load_dataset(tmp_path, "train", like=LIKE)
    with pytest.raises(ValueError, match=r"9\.png cannot be opened \(not a regular file\)"):
        data.images(np.array([6]))
