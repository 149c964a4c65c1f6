"""Stopping where a network expects no gain that is worth its looks.

`agents.learners.stopping` trains it.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import nn
from typing_extensions import Self, override

from agents.policies.base import Policy
from agents.policies.stopping import STEP, Observation, StoppingPolicy, look_up
from gf_env.configuration import configuration
from gf_env.network.cost import count_multiply_adds


@configuration
class StopConfig:
    """Everything that is needed to build a `StopNetwork` anew."""

    shapes: Mapping[str, tuple[PositiveInt, ...]]
    """Of what it sees, by name, without the batch axis."""
    decisions: PositiveInt
    """T - 1: after how many looks there is something to decide."""
    hidden_size: PositiveInt = 64
    """Of its two hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Between them, in training."""


class StopNetwork(nn.Module):
    """Expects what going on is worth: the gains to come less what their looks cost.

    It has a network for each look after which there is something to decide.

    Args:
        config: see `StopConfig`.
    """

    def __init__(self, config: StopConfig) -> None:
        super().__init__()
        self.config = config
        inputs = sum(math.prod(shape) for shape in config.shapes.values())
        size = config.hidden_size
        self.after_look = nn.ModuleList(
            nn.Sequential(
                nn.Linear(inputs, size),
                nn.ReLU(),
                nn.Dropout(config.dropout),
                nn.Linear(size, size),
                nn.ReLU(),
                nn.Linear(size, 1),
            )
            for _ in range(config.decisions)
        )

    def known(self, seen: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what it sees of n episodes side by side, (n, inputs)."""
        return torch.cat([seen[name].flatten(1) for name in self.config.shapes], dim=1)

    def forward(self, known: torch.Tensor, looks: torch.Tensor) -> torch.Tensor:
        """Return what going on is worth, (n,).

        Args:
            known: (n, inputs), see `known`.
            looks: (n,) int64, looks taken so far, 1 or more.
        """
        worth = known.new_zeros(len(known))
        decisions = (looks - 1).clamp(max=self.config.decisions - 1)
        for decision in torch.unique(decisions).tolist():
            rows = (decisions == decision).nonzero()[:, 0]
            worth = worth.index_copy(0, rows, self.after_look[decision](known[rows])[:, 0])
        return worth


class LearnedStopping(StoppingPolicy):
    """Stops where a network expects no gain that is worth its looks.

    Args:
        policy: says where to look.
        network: trained for this policy, this network of the task and a price, by
            `agents.learners.stopping`. It is put into eval mode.
        grid_size: see `StoppingPolicy`.
    """

    file_kind = "agents.LearnedStopping.v1"

    def __init__(
        self, policy: Policy, network: StopNetwork, *, grid_size: int | None = None
    ) -> None:
        super().__init__(policy, (*network.config.shapes, STEP), grid_size=grid_size)
        self.network = network.eval()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @override
    @torch.no_grad()
    def stops(self, observation: Observation) -> NDArray[np.bool_]:
        names = (*self.network.config.shapes, STEP)
        seen = {
            name: torch.from_numpy(look_up(observation, name)).to(self.device) for name in names
        }
        worth = self.network(self.network.known(seen), seen[STEP][:, 0].long())
        enough: NDArray[np.bool_] = (worth <= 0).cpu().numpy()
        return enough

    @functools.cached_property
    def _cost(self) -> int:
        first = self.network.after_look[0]
        inputs = first[0].in_features  # type: ignore[index]
        return count_multiply_adds(lambda: first(torch.zeros(1, inputs, device=self.device)))

    @property
    @override
    def _rule_cost(self) -> int:
        return self._cost

    @override
    def _rule(self) -> tuple[dict[str, Any], StopNetwork]:
        return {"rule": dataclasses.asdict(self.network.config)}, self.network

    @classmethod
    @override
    def _make(cls, policy: Policy, config: dict[str, Any]) -> Self:
        return cls(policy, StopNetwork(StopConfig(**config["rule"])))
