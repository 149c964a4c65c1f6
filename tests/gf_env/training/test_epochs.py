import itertools
import tracemalloc
import zlib

import numpy as np
import pytest
import torch

from gf_env.datasets.batches import Loading, read_batches
from gf_env.training import epochs, processes
from gf_env.training.epochs import epoch_indices, epoch_seed
from tests.helpers.tiny import ArrayDataset, random_dataset

HERE = Loading(torch.device("cpu"))
ORDER_OF_11 = [[10, 7, 1, 3], [2, 4, 6, 0]]
ORDER_OF_100_000 = 1338525793


class Numbered(ArrayDataset):
    """A data set whose images hold their own index."""

    def __init__(self, count):
        super().__init__([], np.arange(count) * 2, random_dataset(1).spec)

    def images(self, indices):
        return torch.as_tensor(indices, dtype=torch.uint8)[:, None, None, None]


class Varied(Numbered):
    """One that can be augmented: copies hold their index plus the seed."""

    def augmented_images(self, indices, seed):
        return self.images(np.asarray(indices) + seed)


def numbers(dataset, *, seed=1, loading=HERE, augment=True):
    batches = epoch_indices(len(dataset), 4, seed)
    read = read_batches(dataset, batches, loading, seed if augment else None)
    return [images.flatten().tolist() for images, _, _ in read]


def test_every_image_once_in_whole_batches():
    seen = numbers(Numbered(10))
    assert [len(batch) for batch in seen] == [4, 4]
    assert len({*seen[0], *seen[1]}) == 8
    assert numbers(Numbered(10)) == seen
    assert numbers(Numbered(10), seed=2) != seen
    (only,) = numbers(Numbered(3))
    assert sorted(only) == [0, 1, 2]


def test_orders_stay_what_they_were():
    found = [batch.tolist() for batch in epoch_indices(11, 4, seed=5)]
    assert found == ORDER_OF_11
    assert zlib.crc32(np.stack(list(epoch_indices(100_000, 256, 7)))) == ORDER_OF_100_000


@pytest.mark.parametrize("count", [6, 64, 65, 1000])
def test_orders_that_are_computed_batch_by_batch(monkeypatch, count):
    monkeypatch.setattr(epochs, "_MOST_PERMUTED", 5)
    orders = [np.concatenate(list(epoch_indices(count, 1, seed))) for seed in (1, 1, 2)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(count))
        assert not np.array_equal(order, np.arange(count))
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_a_split_of_any_length_costs_nothing_beforehand():
    tracemalloc.start()
    batches = epoch_indices(10**15, 256, seed=3)
    seen = np.concatenate([next(batches) for _ in range(400)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e7
    assert len(np.unique(seen)) == 400 * 256
    assert seen.min() >= 0
    assert seen.max() < 10**15
    tenths = np.bincount(seen // 10**14, minlength=10)
    assert abs(tenths - 10_240).max() < 400  # four standard deviations
    neighbours = np.corrcoef(seen[:-1], seen[1:])[0, 1]
    assert abs(neighbours) < 0.02


def test_workers_read_the_same():
    there = Loading(torch.device("cpu"), workers=2)
    assert numbers(Varied(10), loading=there) == numbers(Varied(10))


def test_copies_are_varied_where_they_can_be():
    plain, varied = numbers(Numbered(8)), numbers(Varied(8), seed=1)
    assert [[number + 1 for number in batch] for batch in plain] == varied
    assert numbers(Varied(8), augment=False) == plain


def test_each_process_has_its_share(monkeypatch):
    whole = numbers(Numbered(10))
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        shares.append(numbers(Numbered(10)))
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(b) for b in whole]
    assert all(len(batch) == 2 for share in shares for batch in share)


def test_a_batch_too_small_for_the_processes(monkeypatch):
    monkeypatch.setattr(processes, "world_size", lambda: 5)
    with pytest.raises(ValueError, match="batch of 4 images cannot be shared by 5 processes"):
        numbers(Numbered(10))


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    numbers(Varied(10), loading=Loading(torch.device("cpu"), workers=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_as_asked_for():
    batches = [np.array([3, 1]), np.array([0])]
    read = list(read_batches(Numbered(5), batches, HERE))
    assert [batch.images.flatten().tolist() for batch in read] == [[3, 1], [0]]
    assert [batch.labels.tolist() for batch in read] == [[6, 2], [0]]


def test_seeds_differ_by_seed_phase_and_epoch():
    each = itertools.product(range(3), ("stage1", "stage3"), range(50))
    seeds = {epoch_seed(*arguments) for arguments in each}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_negative_workers():
    with pytest.raises(ValueError, match="workers must be greater than or equal to 0, got -1"):
        Loading(torch.device("cpu"), workers=-1)
