"""Batches of images on a device, read ahead by worker processes where asked for."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt
from torch.utils import data

from gf_env.configuration import configuration
from gf_env.datasets.base import Augmented, Dataset


class Batch(NamedTuple):
    """Some images of a data set.

    Attributes:
        images: (n, C, S, S) uint8.
        labels: (n,) int64.
        indices: (n,) int64 on the CPU, which images of their data set they are.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor


@configuration
class Loading:
    """How images come to the device.

    Attributes:
        device: where they go.
        workers: processes that read ahead; 0 reads in the training process.
    """

    device: torch.device
    workers: NonNegativeInt = 0


def read_batches(
    dataset: Dataset,
    batches: Iterable[NDArray[np.int64]],
    loading: Loading,
    augmentation_seed: int | None = None,
) -> Iterator[Batch]:
    """Yield the images and labels at given indices, on the device, read ahead by the workers.

    Args:
        dataset: where the images come from.
        batches: indices (n,) of each batch.
        loading: device and workers.
        augmentation_seed: of varied copies, where the data set can make them; None: the images as
            they are.
    """
    loader = data.DataLoader(
        _Reader(dataset, augmentation_seed),
        batch_sampler=batches,  # type: ignore[arg-type]  # any iterable of indices will do
        collate_fn=_as_it_is,  # type: ignore[arg-type]  # `__getitems__` makes whole batches
        num_workers=loading.workers,
        pin_memory=loading.device.type == "cuda",
        generator=torch.Generator(),  # so that the global one is left alone
    )
    for batch in loader:
        yield Batch(
            batch.images.to(loading.device, non_blocking=True),
            batch.labels.to(loading.device, non_blocking=True),
            batch.indices,
        )


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor to a device without waiting for it: by way of pinned memory to a GPU."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


class _Reader(data.Dataset[Batch]):
    """A whole batch in one call: one gather for images in memory."""

    def __init__(self, dataset: Dataset, augmentation_seed: int | None) -> None:
        self._dataset = dataset
        self._seed = augmentation_seed

    def __getitems__(self, indices: NDArray[np.int64]) -> Batch:
        labels = torch.from_numpy(self._dataset.labels[indices])
        numbers = torch.from_numpy(indices)
        if self._seed is not None and isinstance(self._dataset, Augmented):
            return Batch(self._dataset.augmented_images(indices, self._seed), labels, numbers)
        return Batch(self._dataset.images(indices), labels, numbers)


def _as_it_is(batch: Batch) -> Batch:
    return batch
