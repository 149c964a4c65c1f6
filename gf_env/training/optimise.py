"""The supervised loop that all stages share: SGD with the paper's schedule (appendix).

Departs from the paper in that the cosine falls at every step, not every epoch, since small tasks
need few epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from rich.progress import Progress


@dataclass(frozen=True)
class OptimiserConfig:
    """How long and how fast a network learns.

    Attributes:
        epochs: passes over the data.
        learning_rate: of the encoders, at the start; it falls to 0 along a cosine.
        classifier_learning_rate: of everything else, likewise.
        weight_decay: L2 penalty on every weight.
        momentum: Nesterov's.
        batch_size: images a step.
        warmup_fraction: share of the steps in which the rate first rises from 0.
    """

    epochs: int
    learning_rate: float
    classifier_learning_rate: float = 0.1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    batch_size: int = 256
    warmup_fraction: float = 0.1

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("epochs", "learning_rate", "classifier_learning_rate", "batch_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(f"warmup_fraction must be in [0, 1), got {self.warmup_fraction}")


def optimise(
    groups: Iterable[dict[str, Any]],
    loss: Callable[[torch.Tensor], torch.Tensor],
    num_images: int,
    config: OptimiserConfig,
    *,
    generator: torch.Generator,
    progress: Progress,
    description: str,
) -> None:
    """Minimise `loss` over the images.

    Args:
        groups: parameter groups, each with `params` and `lr`.
        loss: from image indices (batch_size,) int64 to a scalar.
        num_images: how many images there are; a last incomplete batch of an epoch is left out.
        config: schedule.
        generator: shuffles the images.
        progress: shows a bar with the running loss.
        description: the bar's name.
    """
    optimiser = torch.optim.SGD(
        list(groups), momentum=config.momentum, weight_decay=config.weight_decay, nesterov=True
    )
    batch_size = min(config.batch_size, num_images)
    steps_per_epoch = num_images // batch_size
    steps = config.epochs * steps_per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step / steps, config.warmup_fraction)
    )
    task = progress.add_task(description, total=steps, loss=math.nan)
    running = math.nan
    for _ in range(config.epochs):
        order = torch.randperm(num_images, generator=generator)[: steps_per_epoch * batch_size]
        for indices in order.view(-1, batch_size):
            optimiser.zero_grad()
            value = loss(indices)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            current = value.item()
            if not math.isfinite(current):
                raise FloatingPointError(
                    f"{description}: the loss became {current}; a lower learning rate may help"
                )
            running = current if math.isnan(running) else 0.95 * running + 0.05 * current
            progress.update(task, advance=1, loss=running)


def _rate(done: float, warmup: float) -> float:
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
