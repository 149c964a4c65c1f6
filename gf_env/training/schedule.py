"""The paper's optimiser and schedule: SGD with Nesterov momentum along a cosine (appendix).

Adam is ours, for classifiers that learn to join what several looks show.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from gf_env.configuration import configuration


@configuration
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
        method: `sgd` as in the paper, or `adam`, which has no use for the momentum and whose weight
            decay is decoupled (AdamW).
        anneal: the rate falls after every `step`, or after every `epoch` as in the paper, which
            needs many epochs.
    """

    epochs: NonNegativeInt
    learning_rate: PositiveFloat
    classifier_learning_rate: PositiveFloat = 0.1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    batch_size: PositiveInt = 256
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    method: Literal["sgd", "adam"] = "sgd"
    anneal: Literal["step", "epoch"] = "step"


def make_optimiser(
    encoders: Iterable[nn.Module], others: Iterable[nn.Module], config: OptimiserConfig
) -> torch.optim.Optimizer:
    """Return an optimiser of what learns, encoders and everything else at their own rates."""
    groups = [
        {
            "params": [p for module in modules for p in module.parameters() if p.requires_grad],
            "lr": rate,
            "initial_lr": rate,  # what schedules start from
        }
        for modules, rate in (
            (encoders, config.learning_rate),
            (others, config.classifier_learning_rate),
        )
    ]
    learning = [group for group in groups if group["params"]]
    if config.method == "adam":
        return torch.optim.AdamW(learning, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        learning,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )


def make_schedule(
    optimiser: torch.optim.Optimizer, config: OptimiserConfig, steps_per_epoch: int, step: int
) -> LambdaLR:
    """Return the schedule of an optimiser's rates, which it sets for step `step` at once.

    Args:
        optimiser: made by `make_optimiser`.
        config: length and form of the schedule.
        steps_per_epoch: gradient steps.
        step: counted from 0 over all epochs.
    """
    steps = steps_per_epoch * config.epochs

    def share(step: int) -> float:
        # the warm-up goes by steps in any case: it is often shorter than an epoch
        if config.anneal == "epoch" and step / steps >= config.warmup_fraction:
            step -= step % steps_per_epoch
        return rate_share(step / steps, config.warmup_fraction)

    return LambdaLR(optimiser, share, last_epoch=step - 1)


def rate_share(done: float, warmup: float) -> float:
    """Return the share of the initial rate after a share `done` of the steps, both in [0, 1]."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, object]) -> None:
    """Load the state of an optimiser; checkpoints once called the initial rate `base_rate`."""
    optimiser.load_state_dict(state)
    for group in optimiser.param_groups:
        group["initial_lr"] = group.pop("base_rate", group.get("initial_lr"))
