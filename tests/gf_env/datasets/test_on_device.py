import numpy as np
import torch

from gf_env.datasets.batches import Loading, read_batches
from gf_env.datasets.on_device import ResidentImages, fits_on, to_device
from tests.helpers.tiny import random_dataset

CPU = torch.device("cpu")


class Counting:
    """A data set that notes which images were read; its varied copies are inverted."""

    def __init__(self):
        self._inner = random_dataset()
        self.name, self.split = self._inner.name, self._inner.split
        self.spec, self.labels = self._inner.spec, self._inner.labels
        self.read = []

    def __len__(self):
        return len(self._inner)

    def images(self, indices):
        self.read += list(indices)
        return self._inner.images(indices)

    def augmented_images(self, indices, seed):
        return 255 - self._inner.images(indices)


def test_every_image_is_read_once():
    dataset, plain = Counting(), random_dataset()
    resident = ResidentImages(dataset, CPU)
    for indices in ([3, 1, 3], [1, 2], [2, 3, 1]):
        assert torch.equal(resident.images(np.array(indices)), plain.images(indices))
    assert sorted(dataset.read) == [1, 2, 3]
    assert len(resident) == 20
    assert np.array_equal(resident.labels, plain.labels)


def test_batches_are_those_of_the_data_set():
    dataset, plain = Counting(), random_dataset()
    resident = ResidentImages(dataset, CPU)
    batches = [np.array([4, 0]), np.array([9, 4])]
    for indices, batch in zip(batches, read_batches(resident, batches, Loading(CPU)), strict=True):
        assert torch.equal(batch.images, plain.images(indices))
        assert batch.labels.tolist() == plain.labels[indices].tolist()
    assert sorted(dataset.read) == [0, 4, 9]


def test_varied_copies_are_made_anew():
    plain = random_dataset()
    resident = ResidentImages(Counting(), CPU)
    (batch,) = read_batches(resident, [np.array([4, 0])], Loading(CPU), augmentation_seed=1)
    assert torch.equal(batch.images, 255 - plain.images([4, 0]))


def test_the_cpu_keeps_nothing():
    assert not fits_on(random_dataset(), CPU)
    values = torch.arange(3)
    assert to_device(values, CPU) is values
