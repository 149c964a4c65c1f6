"""A policy with a memory that may see all the environment shows, for locations or grids.

The paper's patch proposal network (section 3.1) with more to choose: the classifier's state and
other observations beside the newest feature map, a width that can be learned, a categorical
choice among the patches of a grid, or a map of the grid on which each look leaves what it showed.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import nn
from typing_extensions import override

from agents.policies.actor_critic import ActorCritic
from agents.policies.actors import GridActor, make_actor
from agents.policies.network_policy import Tensors
from gf_env.configuration import configuration
from gf_env.envs.observations import EXTRA_OBSERVATIONS, newest_patch

SEES = ("features", "hidden_state", *EXTRA_OBSERVATIONS)
"""All that a policy can see."""
_PLACES = ("locations", "step")
"""What tells where the newest look was."""


def check_sees(sees: object) -> None:
    """Check names of observations.

    Raises:
        ValueError: none, an unknown one, one that is there twice, or a plain string.
    """
    names = list(sees) if isinstance(sees, (tuple, list, Mapping)) else []
    if not names or len({*names}) != len(names) or not {*names} <= {*SEES}:
        raise ValueError(
            f"sees takes a tuple of one or more different names out of {list(SEES)}, got {sees!r}"
        )


@configuration
class RecurrentPolicyConfig:
    """Everything that is needed to build a policy anew."""

    shapes: Mapping[str, tuple[PositiveInt, ...]]
    """Of what it sees, by name out of `SEES`, without the batch axis."""
    grid_size: PositiveInt | None = None
    """n for a choice among n x n patches; None for locations."""
    hidden_size: PositiveInt = 128
    """Of its layers and its memory."""
    recurrent: bool = True
    """With a GRU cell; False puts a linear layer in its place."""
    std: Annotated[float, Field(gt=0, lt=math.inf)] = 0.2
    """First standard deviation of both axes, as a fraction of the way a patch can travel."""
    feature_channels: NonNegativeInt = 32
    """To which a 1x1 convolution reduces feature maps; 0: they are taken as they are."""
    map_channels: NonNegativeInt = 0
    """Numbers that each look leaves at its place on a map of the grid, beside a count of looks
    there; 0 for no map. It is remembered, with a GRU cell or without."""
    repeats: bool = True
    """Whether it may look at the same patch twice; False needs a map."""
    stop: bool = False
    """Whether one of its actions ends the episode."""

    def __post_init__(self) -> None:
        """Refuse settings that do not fit each other."""
        check_sees(self.shapes)
        empty = [name for name, shape in self.shapes.items() if not shape]
        if empty:
            raise ValueError(f"shapes must have axes, got none for {empty}")
        if self.map_channels and (self.grid_size is None or not {*_PLACES} <= {*self.shapes}):
            raise ValueError(
                f"map_channels is for policies on a grid that see {' and '.join(_PLACES)}, "
                f"got grid_size {self.grid_size} and {sorted(self.shapes)}"
            )
        if not self.repeats and not self.map_channels:
            raise ValueError(
                "repeats=False needs a map of what has been looked at, map_channels of 1 or more, "
                f"got {self.map_channels}"
            )


class LookMap(nn.Module):
    """A map of a grid's n x n patches on which looks leave what they showed, each at its place.

    It tells where a look was and what it showed there apart from what other looks showed, so
    that a policy need not learn to keep them apart.

    Args:
        size: of what is known after a look.
        grid_size: n.
        channels: numbers that a look leaves, beside a 1 that counts it.

    Attributes:
        size: of a map, n * n * (channels + 1).
    """

    def __init__(self, size: int, grid_size: int, channels: int) -> None:
        super().__init__()
        self.size = grid_size**2 * (channels + 1)
        self._grid_size = grid_size
        self.linear = nn.Linear(size, channels)

    def forward(
        self, known: torch.Tensor, locations: torch.Tensor, step: torch.Tensor
    ) -> torch.Tensor:
        """Return what the newest looks of n episodes add to their maps.

        Args:
            known: (n, size).
            locations: (n, T - 1, 2) in [-1, 1], (row, col), the looks so far.
            step: (n, 1), how many they are, glance included.

        Returns:
            (n, n * n * (channels + 1)), zeros for those that have seen only the glance.
        """
        newest = newest_patch(locations, step, self._grid_size)
        here = nn.functional.one_hot(newest, self._grid_size**2) * (step > 1)  # (n, n * n)
        left = nn.functional.pad(self.linear(known).relu(), (1, 0), value=1.0)
        return (here[:, :, None] * left[:, None]).flatten(1)


class RecurrentPolicyNetwork(ActorCritic):
    """Encoders of what is seen, memory, actor and critic.

    Args:
        config: see `RecurrentPolicyConfig`.
    """

    def __init__(self, config: RecurrentPolicyConfig) -> None:
        super().__init__()
        self.config = config
        size, grid_size = config.hidden_size, config.grid_size
        encoders = {name: _encoder(shape, config) for name, shape in config.shapes.items()}
        self.encoders = nn.ModuleDict({name: encoder for name, (encoder, _) in encoders.items()})
        known = sum(size for _, size in encoders.values())
        self.map = (
            LookMap(known, grid_size, config.map_channels)
            if config.map_channels and grid_size is not None
            else None
        )
        self._map_size = 0 if self.map is None else self.map.size
        self.merge = nn.Linear(known + self._map_size, size)
        self.memory = nn.GRUCell(size, size) if config.recurrent else nn.Linear(size, size)
        self.actor = make_actor(size, grid_size, config.std, stop=config.stop)
        self.critic = nn.Linear(size, 1)

    def initial_state(self, count: int) -> torch.Tensor:
        """Return the memory before the first action: zeros, (count, m).

        m is the hidden size, or 0 without a GRU, and after that the map's size, if there is one.
        """
        size = self.config.hidden_size if self.config.recurrent else 0
        return self.critic.weight.new_zeros(count, size + self._map_size)

    @override
    def act(
        self, perceived: Tensors, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        own, drawn = self._split(memory)
        known = self._known(perceived)
        if self.map is not None:
            drawn = drawn + self.map(known, *(perceived[name] for name in _PLACES))
        thought, own = self._remember(self._encode(known, drawn), own)
        choice = self._choose(thought, drawn)
        return choice, self.critic(thought)[:, 0], torch.cat([own, drawn], dim=1)

    @override
    def replay(self, perceived: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        length, count = next(iter(perceived.values())).shape[:2]
        flat = {name: value.flatten(0, 1) for name, value in perceived.items()}
        known = self._known(flat)  # (A * n, ...), and likewise
        drawn = known[:, :0]
        if self.map is not None:
            added = self.map(known, *(flat[name] for name in _PLACES))
            drawn = added.view(length, count, -1).cumsum(0).flatten(0, 1)
        own, _ = self._split(self.initial_state(count))
        thoughts = []
        for encoded in self._encode(known, drawn).view(length, count, -1):
            thought, own = self._remember(encoded, own)
            thoughts.append(thought)
        thought = torch.stack(thoughts)  # (A, n, hidden_size)
        choice = self._choose(thought, drawn.view(length, count, -1))
        return choice, self.critic(thought)[..., 0]

    def _known(self, seen: Tensors) -> torch.Tensor:
        """Return what is seen, each part encoded, side by side."""
        return torch.cat([encoder(seen[name]) for name, encoder in self.encoders.items()], dim=1)

    def _split(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the GRU's state (n, ...) and the map (n, ...)."""
        own_size = memory.shape[1] - self._map_size
        return memory[:, :own_size], memory[:, own_size:]

    def _encode(self, known: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Return (n, hidden_size) of what is known (n, ...) and on the map (n, ...)."""
        encoded: torch.Tensor = self.merge(torch.cat([known, drawn], dim=1)).relu()
        return encoded

    def _choose(self, thought: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Return what the actor returns, for thoughts (..., hidden_size) and maps (..., size)."""
        choice: torch.Tensor
        if self.config.repeats:
            choice = self.actor(thought)
            return choice
        assert isinstance(self.actor, GridActor)  # a map is of a grid
        channels = self.config.map_channels + 1
        looked = drawn.reshape(*drawn.shape[:-1], -1, channels)[..., 0] > 0  # (..., n * n)
        # where all patches have been looked at, all are open again
        choice = self.actor(thought, looked & ~looked.all(-1, keepdim=True))
        return choice

    def _remember(
        self, encoded: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what to act on, (n, hidden_size), and the memory after it."""
        if isinstance(self.memory, nn.GRUCell):
            memory = self.memory(encoded, memory)
            return memory, memory
        return self.memory(encoded).relu(), memory


def _encoder(shape: tuple[int, ...], config: RecurrentPolicyConfig) -> tuple[nn.Module, int]:
    """Return what encodes an observation of a shape, and the size of what comes out."""
    channels = config.feature_channels
    if len(shape) != 3 or not channels:
        return nn.Flatten(), math.prod(shape)
    convolution = nn.Conv2d(shape[0], channels, 1, bias=False)
    encoder = nn.Sequential(convolution, nn.ReLU(), nn.Flatten())
    return encoder, math.prod((channels, *shape[1:]))
