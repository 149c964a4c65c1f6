from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gf_env.datasets import Augmented, load_dataset
from gf_env.datasets.on_disk.dataset import ImageFiles
from tests.helpers.image_trees import LIKE, cut_off, write_tree


@pytest.fixture
def data(tmp_path):
    """A tree whose images are all noise."""
    rng = np.random.default_rng(0)
    for path in sorted(write_tree(tmp_path).rglob("*.png")):
        Image.fromarray(rng.integers(0, 256, (40, 56, 3), np.uint8)).save(path)
    return load_dataset(tmp_path, "train", like=LIKE)


def test_an_augmented_image_depends_on_seed_and_index_alone(data):
    assert isinstance(data, Augmented)
    images = data.augmented_images(np.arange(6), 7)
    assert images.shape == (6, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert not torch.equal(images, data.images(np.arange(6)))
    order = np.array([4, 1, 4, 0])
    assert torch.equal(data.augmented_images(order, 7), images[order])
    assert torch.equal(data.augmented_images(np.array([-1]), 7), images[[5]])


def test_seeds_and_indices_differ(data):
    copies = [
        data.augmented_images(np.array([index]), seed) for index in range(3) for seed in range(3)
    ]
    assert len(torch.stack(copies).unique(dim=0)) == 9
    with pytest.raises(ValueError, match="0 or more, got -1"):
        data.augmented_images(np.array([0]), -1)


def test_equal_images_at_two_indices_are_varied_differently(data):
    for path in data._source.paths:
        Image.fromarray(np.arange(40 * 40, dtype=np.uint16).reshape(40, 40) * 40).save(path)
    first, second = data.augmented_images(np.array([0, 1]), 0)
    assert not torch.equal(first, second)


def test_global_generators_are_left_alone(data):
    expected = torch.random.get_rng_state()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    data.augmented_images(np.arange(6), 0)
    assert torch.equal(torch.random.get_rng_state(), expected)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


class Copies(torch.utils.data.Dataset):
    """Reads one augmented copy at a time."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data.augmented_images(np.array([index]), 7)[0]


def test_worker_processes_make_the_same_copies(data):
    loader = torch.utils.data.DataLoader(
        Copies(data), batch_size=3, num_workers=1, multiprocessing_context="spawn"
    )
    assert torch.equal(torch.cat(list(loader)), data.augmented_images(np.arange(6), 7))


def test_kept_images_are_numbered_anew(data):
    part = ImageFiles("n", "train", data._source, data.labels, data.spec, np.array([1, 4, 5]))
    assert part.labels.tolist() == [0, 1, 1]
    assert (len(part), part.num_skipped) == (3, 3)
    assert torch.equal(part.images(np.array([2, 0])), data.images(np.array([5, 1])))


@pytest.mark.parametrize("how", ["images", "augmented_images"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no picture"), cut_off])
def test_an_image_that_cannot_be_decoded_is_named(data, how, damage):
    path = Path(data._source.paths[1])
    damage(path)
    arguments = () if how == "images" else (0,)
    with pytest.raises(ValueError, match=r'cat.1\.png cannot be decoded.*unreadable="skip"'):
        getattr(data, how)(np.array([0, 1]), *arguments)
    getattr(data, how)(np.array([0, 2]), *arguments)
