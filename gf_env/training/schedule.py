"""The paper's optimiser and schedule: SGD with Nesterov momentum along a cosine (appendix)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

ANNEALINGS = ("step", "epoch")


@dataclass(frozen=True)
class OptimiserConfig:
    """How long and how fast a network learns.

    Attributes:
        epochs: passes over the data; 0 leaves the weights as they are.
        learning_rate: of the encoders, at the start; it falls to 0 along a cosine.
        classifier_learning_rate: of everything else, likewise.
        weight_decay: L2 penalty on every weight.
        momentum: Nesterov's.
        batch_size: images a step, over all processes.
        warmup_fraction: share of the steps in which the rate first rises from 0.
        anneal: the rate falls after every `step`, or after every `epoch` as in the paper, which
            needs many epochs.
    """

    epochs: int
    learning_rate: float
    classifier_learning_rate: float = 0.1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    batch_size: int = 256
    warmup_fraction: float = 0.1
    anneal: str = "step"

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("learning_rate", "classifier_learning_rate", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more, got {self.epochs}")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(f"warmup_fraction must be in [0, 1), got {self.warmup_fraction}")
        if self.anneal not in ANNEALINGS:
            raise ValueError(f"unknown anneal {self.anneal!r}; choose one of {list(ANNEALINGS)}")


def make_optimiser(
    encoders: Iterable[nn.Module], others: Iterable[nn.Module], config: OptimiserConfig
) -> torch.optim.SGD:
    """Return SGD over the weights that learn, encoders and everything else at their own rates."""
    groups = [
        {
            "params": [p for module in modules for p in module.parameters() if p.requires_grad],
            "lr": rate,
            "base_rate": rate,
        }
        for modules, rate in (
            (encoders, config.learning_rate),
            (others, config.classifier_learning_rate),
        )
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )


def set_rate(
    optimiser: torch.optim.Optimizer, config: OptimiserConfig, step: int, steps_per_epoch: int
) -> float:
    """Set the rates for step `step`, counted from 0; return the share of the base rates."""
    if config.anneal == "epoch":
        # the warm-up still goes by steps: it is often shorter than an epoch
        warming = step / (steps_per_epoch * config.epochs) < config.warmup_fraction
        step = step if warming else step - step % steps_per_epoch
    share = rate_share(step / (steps_per_epoch * config.epochs), config.warmup_fraction)
    for group in optimiser.param_groups:
        group["lr"] = share * group["base_rate"]
    return share


def rate_share(done: float, warmup: float) -> float:
    """Return the share of the base rate once a share `done` of the steps is behind."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
