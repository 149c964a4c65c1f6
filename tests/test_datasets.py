import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from gf_env.datasets import Dataset, ImageSpec, load_dataset


@pytest.fixture
def tree(tmp_path):
    """PNG files in train/{cat,dog} and val/{cat,dog}, of several sizes; red cats, blue dogs."""
    for split, count in (("train", 3), ("val", 2)):
        for name, colour in (("cat", (200, 0, 0)), ("dog", (0, 0, 200))):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40 + 9 * number, 50), colour).save(folder / f"{number}.png")
    return tmp_path


LIKE = ImageSpec(32, 3, ("x", "y"), (0.5,) * 3, (0.2,) * 3)


def test_image_folder(tree):
    data = load_dataset(tree, "train", like=LIKE)
    assert isinstance(data, Dataset)
    assert data.spec == ImageSpec(32, 3, ("cat", "dog"), (0.5,) * 3, (0.2,) * 3)
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    images = data.images(np.array([0, 5]))
    assert images.shape == (2, 3, 32, 32)
    assert str(images.dtype) == "torch.uint8"
    assert images[0, :, 16, 16].tolist() == [200, 0, 0]
    assert images[1, :, 16, 16].tolist() == [0, 0, 200]
    assert len(load_dataset(tree, "validation", like=LIKE)) == 4


def test_image_folder_in_grey_and_in_imagenets_size(tree):
    grey = ImageSpec(24, 1, ("x", "y"), (0.5,), (0.2,))
    assert load_dataset(tree, "train", like=grey).images(np.array([1])).shape == (1, 1, 24, 24)
    default = load_dataset(str(tree), "train")
    assert default.spec.image_size == 224
    assert default.spec.mean == (0.485, 0.456, 0.406)


def test_centre_is_cut_out(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 25:55] = 255
    for name in ("a", "b"):
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "test" / name / "0.png")
    image = load_dataset(tmp_path, "test", like=ImageSpec(28, 3, ("x", "y"), (0,) * 3, (1,) * 3))
    middle = image.images(np.array([0]))[0, 0]
    assert middle[:, 4:24].min() == 255  # 40 -> 32 rows, then 28 in the middle


def test_missing_split_and_empty_class(tree):
    with pytest.raises(ValueError, match=r"no split 'test'.*\['train', 'val'\]"):
        load_dataset(tree, "test")
    (tree / "train" / "bird").mkdir()
    with pytest.raises(ValueError, match="images in every class"):
        load_dataset(tree, "train")


def test_an_image_that_cannot_be_decoded(tree):
    (tree / "train" / "cat" / "1.png").write_bytes(b"no picture")
    data = load_dataset(tree, "train", like=LIKE)
    with pytest.raises(ValueError, match=r"image 1 of .* cannot be read"):
        data.images(np.array([1]))


def write_mnist(root, count=7):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        pixels = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        images = struct.pack(">iiii", 2051, count, 28, 28) + pixels.tobytes()
        targets = struct.pack(">ii", 2049, count) + labels.tobytes()
        for name, content in (("images-idx3", images), ("labels-idx1", targets)):
            (raw / f"{prefix}-{name}-ubyte").write_bytes(content)
            with gzip.open(raw / f"{prefix}-{name}-ubyte.gz", "wb") as file:
                file.write(content)


def test_torchvision_by_name_and_root(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    grey = ImageSpec(28, 1, ("x", "y"), (0.1,), (0.3,))
    data = load_dataset(f"torchvision:MNIST@{tmp_path}", "test", like=grey)
    assert data.labels.tolist() == list(range(7))
    assert len(data.spec.classes) == 10
    assert data.images(np.array([3, 6])).flatten(1).unique(dim=1).tolist() == [[3], [6]]
    monkeypatch.setenv("GF_ENV_DATA", str(tmp_path))
    assert len(load_dataset("torchvision:MNIST", "train", like=grey)) == 7


def test_torchvision_errors(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'Imagenette9'.*CIFAR10"):
        load_dataset("torchvision:Imagenette9", "train")
    with pytest.raises(ValueError, match=r"CIFAR10 is not whole.*CIFAR10@<folder>"):
        load_dataset(f"torchvision:CIFAR10@{tmp_path}", "train")
    with pytest.raises(ValueError, match="train and test, not 'validation'"):
        load_dataset(f"torchvision:MNIST@{tmp_path}", "validation")


def test_unknown_dataset_and_size():
    with pytest.raises(ValueError, match=r"unknown dataset 'nowhere'.*'cluttered-digits'.*folder"):
        load_dataset("nowhere", "train")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        load_dataset("cluttered-digits", "dev")


def test_size_is_for_the_built_in_task_only(tree):
    with pytest.raises(ValueError, match="any size"):
        load_dataset(tree, "train", size=3)


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
