"""Where episodes get their images from, whatever an image is to them: pixels, or a number.

The rules of an episode and the learners only hand images on. How they are picked, read in batches
and shown as pixels is the source's business. A feature bank has one of its own,
`gf_env.feature_bank.bank.ImageIndices`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import Augmented, Dataset, InMemory
from gf_env.datasets.batches import Batch, Loading, read_batches, to_device

Indices = NDArray[np.int64]

_SHARE = 0.5
"""Of the device's free memory; the rest is for features and episodes."""


class ImageSource:
    """The images of one split, on one device.

    Args:
        dataset: the images.
        device: where they go.

    Attributes:
        labels: (N,) int64, the class of each image.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.labels = dataset.labels
        self._dataset, self._device = dataset, device

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again, so that no images are pickled."""
        return type(self), (self._dataset, self._device)

    def select(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the images at `indices`, (n,) int64, without a copy where that is possible.

        Returns:
            images (m, ...) on the device, and rows (n,) int64 in [0, m), which of them are meant;
            None for the rows means all of them, n = m.
        """
        raise NotImplementedError

    def batches(
        self, batches: Iterable[Indices], *, workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Batch]:
        """Yield the images and labels of batches, on the device.

        Args:
            batches: indices (n,) int64 of each.
            workers: processes that read ahead, where there is anything to read.
            augmentation_seed: of varied copies, where the data set can make them; None: the images
                as they are.
        """
        for indices in batches:
            images, rows = self.select(indices)
            labels = to_device(torch.from_numpy(self.labels[indices]), self._device)
            yield Batch(images if rows is None else images[rows], labels, torch.from_numpy(indices))

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Return images of this source as they look, (n, C, S, S), uint8 or normalised float."""
        return images


def image_source(dataset: Dataset, device: torch.device) -> ImageSource:
    """Return a data set's images: kept on a GPU that has room for all, else read when needed."""
    kind = ResidentImages if fits_on(dataset, device) else ReadImages
    return kind(dataset, device)


class ReadImages(ImageSource):
    """Images that are read from their data set whenever they are needed."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._in_memory = dataset if isinstance(dataset, InMemory) else None

    @override
    def select(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self._in_memory is not None and self._device.type == "cpu":
            return self._in_memory.tensor(indices), torch.from_numpy(indices)
        return to_device(self._dataset.images(indices), self._device), None

    @override
    def batches(
        self, batches: Iterable[Indices], *, workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Batch]:
        loading = Loading(self._device, workers)
        return read_batches(self._dataset, batches, loading, augmentation_seed)


class ResidentImages(ImageSource):
    """Images that are read once and then stay on the device."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset, device)
        self._images = torch.empty(_shape(dataset), dtype=torch.uint8, device=device)
        self._present = np.zeros(len(dataset), np.bool_)

    @override
    def select(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor | None]:
        missing = np.unique(indices[~self._present[indices]])
        if len(missing):
            rows = to_device(torch.from_numpy(missing), self._device)
            read = to_device(self._dataset.images(missing), self._device)
            self._images.index_copy_(0, rows, read)
            self._present[missing] = True
        return self._images, to_device(torch.from_numpy(indices), self._device)

    @override
    def batches(
        self, batches: Iterable[Indices], *, workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Batch]:
        if augmentation_seed is None or not isinstance(self._dataset, Augmented):
            return super().batches(batches)
        anew = ReadImages(self._dataset, self._device)  # varied copies, made by the workers
        return anew.batches(batches, workers=workers, augmentation_seed=augmentation_seed)


def fits_on(dataset: Dataset, device: torch.device) -> bool:
    """Whether all images take at most half of what is free on a GPU; never on the CPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return int(np.prod(_shape(dataset), dtype=np.int64)) <= _SHARE * free


def _shape(dataset: Dataset) -> tuple[int, ...]:
    size = dataset.spec.image_size
    return len(dataset), dataset.spec.channels, size, size
