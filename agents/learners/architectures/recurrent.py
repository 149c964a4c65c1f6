"""The recurrent policy, see `agents.policies.recurrent_network`, with what learners set of it."""

import math
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from typing_extensions import override

from agents.learners.architectures.base import Architecture, shown
from agents.learners.base import Metrics
from agents.policies.actor_critic import ActorCritic
from agents.policies.recurrent import RecurrentPolicy
from agents.policies.recurrent_network import (
    RecurrentPolicyConfig,
    RecurrentPolicyNetwork,
    check_sees,
)
from gf_env.configuration import configuration
from gf_env.envs.task import Task
from gf_env.training.seeding import seeded_weights


@configuration
class Recurrent(Architecture):
    """Settings that all learners have of it."""

    sees: tuple[str, ...] = ("features", "hidden_state")
    """Observations that the policy gets, out of `agents.policies.recurrent_network.SEES`."""
    hidden_size: PositiveInt = 128
    """Of the policy's layers and memory."""
    recurrent: bool = True
    """With a GRU for a memory."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        check_sees(self.sees)

    def more(self) -> dict[str, Any]:
        """Return further fields of `RecurrentPolicyConfig`."""
        return {}

    @override
    def new_policy(self, task: Task, seed: int) -> RecurrentPolicy:
        config = RecurrentPolicyConfig(
            {name: shown(task, name) for name in self.sees},
            task.actions.grid_size,
            self.hidden_size,
            self.recurrent,
            stop=task.actions.stop,
            **self.more(),
        )
        with seeded_weights(seed):
            return RecurrentPolicy(RecurrentPolicyNetwork(config).to(task.device), seed)


@configuration
class RecurrentWithWidth(Recurrent):
    """Settings for learners from rewards, which explore around locations."""

    std: PositiveFloat = 0.2
    """First standard deviation of locations, as a fraction of the way a patch can travel."""
    final_std: PositiveFloat | None = None
    """Where it is led linearly until the last update; None: it is learned."""

    @override
    def more(self) -> dict[str, Any]:
        return {"std": self.std}

    @override
    def lead(self, network: ActorCritic, progress: float) -> Metrics:
        log_std: torch.Tensor | None = network.actor.log_std
        if log_std is None:
            return {}
        if self.final_std is not None:
            width = self.std + progress * (self.final_std - self.std)
            log_std.requires_grad_(False).fill_(math.log(width))
        return {"charts/std": log_std.detach().exp().mean()}


@configuration
class RecurrentWithMap(Recurrent):
    """Settings for learners from a teacher."""

    sees: tuple[str, ...] = ("features", "hidden_state", "glance", "locations", "step")
    hidden_size: PositiveInt = 256
    recurrent: bool = False
    feature_channels: NonNegativeInt = 0
    """To which the policy reduces feature maps; 0: it takes them as they are."""
    map_channels: NonNegativeInt = 16
    """What each look leaves on a map of the grid; 0 for no map."""
    repeats: bool = False
    """Whether the policy may look at the same patch twice; False needs a map."""

    @override
    def more(self) -> dict[str, Any]:
        return {
            "feature_channels": self.feature_channels,
            "map_channels": self.map_channels,
            "repeats": self.repeats,
        }
