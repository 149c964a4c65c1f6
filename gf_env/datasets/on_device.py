"""Images that stay on the device once they have been there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import Dataset

_SHARE = 0.5
"""Of the device's free memory; the rest is for features and episodes."""


class ResidentImages:
    """A `Dataset` that reads each image of another one once and keeps it on a device.

    Args:
        dataset: the images.
        device: where they stay, uint8, (n, channels, S, S) in all.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset, self.device = dataset, device
        self.name, self.split = dataset.name, dataset.split
        self.spec, self.labels = dataset.spec, dataset.labels
        self._images = torch.empty(_shape(dataset), dtype=torch.uint8, device=device)
        self._present = np.zeros(len(dataset), np.bool_)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the images at `indices`, (len(indices), channels, S, S) uint8, on the device."""
        indices = np.asarray(indices, np.int64)
        return self.tensor(indices).index_select(0, torch.from_numpy(indices).to(self.device))

    def tensor(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return all images, (n, channels, S, S) uint8; those at `indices` are read if need be."""
        missing = np.unique(indices[~self._present[indices]])
        if len(missing):
            rows = torch.from_numpy(missing).to(self.device)
            self._images.index_copy_(0, rows, to_device(self.dataset.images(missing), self.device))
            self._present[missing] = True
        return self._images


def fits_on(dataset: Dataset, device: torch.device) -> bool:
    """Whether all images take at most half of what is free on a GPU; never on the CPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return int(np.prod(_shape(dataset), dtype=np.int64)) <= _SHARE * free


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor to a device without waiting for it: by way of pinned memory to a GPU."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _shape(dataset: Dataset) -> tuple[int, ...]:
    size = dataset.spec.image_size
    return len(dataset), dataset.spec.channels, size, size
