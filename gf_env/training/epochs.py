"""The order in which a training sees its images.

All chance in an epoch (order, augmentation, locations, dropout) is a function of the seed and the
epoch's number, so that a training resumed after an epoch ends as one without the stop.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from gf_env.training import processes


def epoch_seed(seed: int, phase: str, epoch: int) -> int:
    """Return a seed in [0, 2^63) for all chance in one epoch of one phase of training."""
    words = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(2)
    return (int(words[0]) << 31) ^ int(words[1])


def steps_in_epoch(num_images: int, batch_size: int) -> int:
    """Return how many whole batches there are, one at least."""
    return max(1, num_images // batch_size)


def epoch_indices(num_images: int, batch_size: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the images of each batch of an epoch: all once, in a random order.

    An incomplete last batch is left out; fewer images than a batch are one batch.

    Args:
        num_images: of the data set.
        batch_size: over all processes.
        seed: of the order, see `epoch_seed`.

    Returns:
        indices (n,) int64 in [0, num_images) of each batch; with several processes, this one's
        share of it.

    Raises:
        ValueError: fewer images in a batch than processes.
    """
    order = np.random.default_rng(seed).permutation(num_images)
    batch_size = min(batch_size, num_images)
    if batch_size < processes.world_size():
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared by {processes.world_size()} processes"
        )
    count = steps_in_epoch(num_images, batch_size)
    batches = order[: count * batch_size].reshape(count, batch_size)
    return list(batches[:, processes.rank() :: processes.world_size()])
