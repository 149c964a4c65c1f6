import gzip
import hashlib
import struct
from urllib.request import urlretrieve

import numpy as np
import pytest
from torchvision import datasets as tv_datasets

from gf_env.datasets import ImageSpec, load_dataset
from gf_env.datasets.load import has_split
from tests.helpers.image_trees import LIKE, cut_off, write_tree

GREY = ImageSpec(28, 1, ("x", "y"), (0.1,), (0.3,))


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
    return root


def test_by_name_and_root(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    data = load_dataset(f"torchvision:MNIST@{tmp_path}", "test", like=GREY)
    assert data.labels.tolist() == list(range(7))
    assert len(data.spec.classes) == 10
    assert data.images(np.array([3, 6])).flatten(1).unique(dim=1).tolist() == [[3], [6]]
    assert data.augmented_images(np.array([5]), 0).unique().tolist() == [5]
    monkeypatch.setenv("GF_ENV_DATA", str(tmp_path))
    assert len(load_dataset("torchvision:MNIST", "train", like=GREY)) == 7
    assert load_dataset("torchvision:MNIST", "test", unreadable="skip").num_skipped == 0


def test_files_of_a_torchvision_data_set_are_named(tmp_path, monkeypatch):
    class Splits(tv_datasets.ImageFolder):  # as torchvision's ImageNet is one
        def __init__(self, root, split):
            super().__init__(f"{root}/{split}")

    monkeypatch.setattr(tv_datasets, "Splits", Splits, raising=False)
    cut_off(write_tree(tmp_path) / "train" / "dog" / "1.png")
    name = f"torchvision:Splits@{tmp_path}"
    with pytest.raises(ValueError, match=r"dog.1\.png cannot be decoded"):
        load_dataset(name, "train", like=LIKE).images(np.array([4]))
    with pytest.warns(UserWarning, match=r"1 of 6 .*dog.1\.png"):
        load_dataset(name, "train", like=LIKE, unreadable="skip")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("tench", "Tinca tinca"), ("church",)], ("tench", "church")),
        (
            [("crane", "bird"), ("crane", "machine"), ("cat",)],
            ("crane, bird", "crane, machine", "cat"),
        ),
        (["cat", "dog"], ("cat", "dog")),
    ],
)
def test_classes_with_several_names(tmp_path, monkeypatch, names, expected):
    class Named(tv_datasets.VisionDataset):
        def __init__(self, root, split):
            super().__init__(root)
            self.classes, self.targets = names, list(range(len(names)))

        def __len__(self):
            return len(names)

    monkeypatch.setattr(tv_datasets, "Named", Named, raising=False)
    data = load_dataset(f"torchvision:Named@{tmp_path}", "train", like=LIKE)
    assert data.spec.classes == expected


def test_splits_there_are(tmp_path):
    name = f"torchvision:MNIST@{write_mnist(tmp_path)}"
    there = [has_split(name, split) for split in ("train", "validation", "test", "pretrain")]
    assert there == [True, False, True, False]
    assert not has_split(f"torchvision:MNIST@{tmp_path / 'nowhere'}", "train")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """The files that torchvision gets where it asks the servers of MNIST."""
    raw = write_mnist(tmp_path / "server") / "MNIST" / "raw"
    zipped = sorted(raw.glob("*.gz"))
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in zipped]
    monkeypatch.setattr(tv_datasets.MNIST, "resources", sums)
    monkeypatch.setattr(tv_datasets.MNIST, "mirrors", [f"{raw.as_uri()}/"])
    # torchvision's own shows a length, which the answer for a file does not have
    monkeypatch.setattr(tv_datasets.utils, "_urlretrieve", urlretrieve)
    return raw


def test_downloaded_only_where_asked(tmp_path, mirror):
    name = f"torchvision:MNIST@{tmp_path / 'own'}"
    with pytest.raises(ValueError, match="Download it there, with download=True"):
        load_dataset(name, "train", like=GREY)
    assert not has_split(name, "train")
    assert not (tmp_path / "own").exists()
    assert has_split(name, "train", download=True)
    assert not has_split(name, "validation", download=True)
    assert load_dataset(name, "test", like=GREY).labels.tolist() == list(range(7))


def test_what_is_there_is_not_downloaded_again(tmp_path, mirror):
    name = f"torchvision:MNIST@{tmp_path / 'own'}"
    load_dataset(name, "train", like=GREY, download=True)
    for path in mirror.iterdir():
        path.unlink()
    assert len(load_dataset(name, "test", like=GREY, download=True)) == 7


def test_downloads_that_fail_or_are_not_offered(tmp_path, mirror):
    for path in mirror.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"MNIST is incomplete under .*own"):
        load_dataset(f"torchvision:MNIST@{tmp_path / 'own'}", "train", download=True)
    name = f"torchvision:ImageNet@{tmp_path}"
    with pytest.raises(ValueError, match="does not download ImageNet: do it by hand"):
        load_dataset(name, "validation", download=True)
    with pytest.raises(ValueError, match=r"ImageNet is incomplete .*Download it there, by hand"):
        load_dataset(name, "validation")


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'Imagenette9'.*CIFAR10"):
        load_dataset("torchvision:Imagenette9", "train")
    with pytest.raises(ValueError, match=r"CIFAR10 is incomplete.*CIFAR10@<folder>"):
        load_dataset(f"torchvision:CIFAR10@{tmp_path}", "train")
    with pytest.raises(ValueError, match="train and test, not 'validation'"):
        load_dataset(f"torchvision:MNIST@{tmp_path}", "validation")
