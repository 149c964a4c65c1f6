import numpy as np
import torch

from gf_env.datasets.batches import to_device
from gf_env.datasets.image_source import ReadImages, ResidentImages, fits_on, image_source
from tests.helpers.tiny import ArrayDataset, random_dataset

CPU = torch.device("cpu")


class Counting(ArrayDataset):
    """A data set that notes which images were read; its varied copies are inverted."""

    def __init__(self):
        plain = random_dataset()
        super().__init__(plain.images(range(20)), plain.labels, plain.spec)
        self.read = []

    def images(self, indices):
        self.read += list(indices)
        return super().images(indices)

    def augmented_images(self, indices, seed):
        return 255 - super().images(indices)


def test_every_image_is_read_once():
    dataset, plain = Counting(), random_dataset()
    resident = ResidentImages(dataset, CPU)
    for indices in ([3, 1, 3], [1, 2], [2, 3, 1]):
        images, rows = resident.select(np.array(indices))
        assert torch.equal(images[rows], plain.images(indices))
        assert resident.pixels(images) is images
    assert sorted(dataset.read) == [1, 2, 3]
    assert np.array_equal(resident.labels, plain.labels)


def test_batches_are_those_of_the_data_set():
    dataset, plain = Counting(), random_dataset()
    resident = ResidentImages(dataset, CPU)
    batches = [np.array([4, 0]), np.array([9, 4])]
    for indices, batch in zip(batches, resident.batches(batches), strict=True):
        assert torch.equal(batch.images, plain.images(indices))
        assert batch.labels.tolist() == plain.labels[indices].tolist()
    assert sorted(dataset.read) == [0, 4, 9]


def test_varied_copies_are_made_anew():
    plain = random_dataset()
    resident = ResidentImages(Counting(), CPU)
    (batch,) = resident.batches([np.array([4, 0])], augmentation_seed=1)
    assert torch.equal(batch.images, 255 - plain.images([4, 0]))


class InOneTensor(Counting):
    """A data set that has its images in memory."""

    def tensor(self, indices):
        return self._images


def test_images_in_memory_are_not_copied():
    images, rows = ReadImages(InOneTensor(), CPU).select(np.array([3, 1, 3]))
    assert len(images) == 20
    assert rows.tolist() == [3, 1, 3]
    read, none = ReadImages(Counting(), CPU).select(np.array([3, 1]))
    assert none is None
    assert torch.equal(read, random_dataset().images([3, 1]))


def test_the_cpu_keeps_nothing():
    assert not fits_on(random_dataset(), CPU)
    assert type(image_source(random_dataset(), CPU)) is ReadImages
    values = torch.arange(3)
    assert to_device(values, CPU) is values
