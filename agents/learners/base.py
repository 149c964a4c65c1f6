"""A learner's updates one after another, by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Update:
    """What one update did.

    Attributes:
        number: counted from 1.
        steps: actions taken in all episodes since training began.
        seconds: likewise.
        metrics: by name: `charts/episodic_return`, `charts/accuracy`, `charts/SPS`, `losses/...`.
    """

    number: int
    steps: int
    seconds: float
    metrics: dict[str, float]


class Learner(Protocol):
    """What is trained, update by update.

    Attributes:
        epochs: passes over the images that are begun.
        samples_per_step: actions in an update.
    """

    epochs: int
    samples_per_step: int

    def updates(self, epoch: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the figures of each update of an epoch, counted from 0."""
        ...


def run_updates(
    learner: Learner, max_seconds: float, on_update: Callable[[Update], None] | None
) -> None:
    """Run all updates of a learner.

    Args:
        learner: is changed.
        max_seconds: stop after the update in which this much time has passed.
        on_update: called after every update.
    """
    number, began = 0, time.perf_counter()
    for epoch in range(learner.epochs):
        for figures in learner.updates(epoch):
            number += 1
            seconds = time.perf_counter() - began
            if on_update is not None:
                metrics = {name: value.item() for name, value in figures.items()}
                steps = number * learner.samples_per_step
                metrics["charts/SPS"] = steps / seconds
                on_update(Update(number, steps, seconds, metrics))
            if seconds >= max_seconds:
                return
