"""The order in which a training sees its images.

All chance in an epoch (order, augmentation, locations, dropout) is a function of the seed and the
epoch's number, so that a training resumed after an epoch ends as one without the stop.

A split that is longer than any on disk has an order that is computed batch by batch: a Feistel
network (Luby and Rackoff 1988) whose numbers are walked until they are inside (Black and Rogaway
2002). Memory and the time until the first batch do not grow with the split.
"""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gf_env.training import processes

_MOST_PERMUTED = 1 << 21
"""Longer orders are computed batch by batch; ImageNet has 1.3 million images."""
_ROUNDS = 6
_ODD = np.uint64(0x9E3779B97F4A7C15)


def epoch_seed(seed: int, phase: str, epoch: int) -> int:
    """Return a seed in [0, 2^63) for all chance in one epoch of one phase of training."""
    words = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), epoch]).generate_state(2)
    return (int(words[0]) << 31) ^ int(words[1])


def steps_in_epoch(num_images: int, batch_size: int) -> int:
    """Return how many whole batches there are, one at least."""
    return max(1, num_images // batch_size)


def epoch_indices(num_images: int, batch_size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Return an iterator over the images of each batch of an epoch: all once, in a random order.

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
    batch_size = min(batch_size, num_images)
    if batch_size < processes.world_size():
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared by {processes.world_size()} processes"
        )
    own = np.arange(processes.rank(), batch_size, processes.world_size())
    starts = range(0, steps_in_epoch(num_images, batch_size) * batch_size, batch_size)
    order = _random_order(num_images, np.random.default_rng(seed))
    return (order(start + own) for start in starts)


def _random_order(
    count: int, rng: np.random.Generator
) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Return a function from places (n,) int64 in a random order of range(count) to its numbers."""
    if count <= _MOST_PERMUTED:
        return rng.permutation(count).__getitem__
    half = np.uint64(((count - 1).bit_length() + 1) // 2)
    keys = rng.integers(2**64, size=_ROUNDS, dtype=np.uint64)

    def number(places: NDArray[np.int64]) -> NDArray[np.int64]:
        found = _feistel(places.astype(np.uint64), half, keys)
        while len(outside := np.flatnonzero(found >= count)):
            found[outside] = _feistel(found[outside], half, keys)
        return found.astype(np.int64)

    return number


def _feistel(
    numbers: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Permute the numbers below 4^half, (n,) uint64, half at most 32."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        mixed = (right ^ key) * _ODD
        mixed = (mixed ^ mixed >> np.uint64(32)) * _ODD  # the upper bits depend on all of them
        left, right = right, left ^ mixed >> np.uint64(32) & mask
    return left << half | right
