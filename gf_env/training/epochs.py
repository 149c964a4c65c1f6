"""The order in which a training sees its images.

All chance in an epoch (order, augmentation, locations, dropout) is a function of the seed and the
epoch's number, so that a training resumed after an epoch ends as one without the stop.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from gf_env.datasets.base import Dataset
from gf_env.datasets.batches import Batch, Loading, read_batches
from gf_env.training import processes


def epoch_seed(seed: int, phase: str, epoch: int) -> int:
    """Return a seed in [0, 2^63) for all chance in one epoch of one phase of training."""
    words = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(2)
    return (int(words[0]) << 31) ^ int(words[1])


def steps_in_epoch(num_images: int, batch_size: int) -> int:
    """Return how many whole batches there are, one at least."""
    return max(1, num_images // batch_size)


def epoch_batches(
    dataset: Dataset, batch_size: int, seed: int, loading: Loading, *, augment: bool
) -> Iterator[Batch]:
    """Yield every image once, in a random order; an incomplete last batch is left out.

    Of each batch a process gets its own share. A data set smaller than a batch is one batch.

    Args:
        dataset: where the images come from.
        batch_size: over all processes.
        seed: of order and augmentation, see `epoch_seed`.
        loading: workers and device.
        augment: whether data sets that can be augmented are.

    Raises:
        ValueError: fewer images in a batch than processes.
    """
    order = np.random.default_rng(seed).permutation(len(dataset))
    batch_size = min(batch_size, len(dataset))
    if batch_size < processes.world_size():
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared by {processes.world_size()} processes"
        )
    count = steps_in_epoch(len(dataset), batch_size)
    batches = order[: count * batch_size].reshape(count, batch_size)
    yield from read_batches(
        dataset,
        list(batches[:, processes.rank() :: processes.world_size()]),
        loading,
        augmentation_seed=seed if augment else None,
    )
