"""Weights that are a function of a seed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Within it new modules, on the CPU, draw their weights with a seed.

    Modules draw from torch's global generator, which is as before afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
