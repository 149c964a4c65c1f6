"""What learners of episodes train: an actor, a critic and what they remember, whatever is inside.

A learner runs episodes with `perceive` and `act`, keeps what was perceived, and goes through whole
episodes again with `replay`. What is not trained is therefore done once for a look, in `perceive`,
and not again in each gradient step.
"""

import abc
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from agents.policies.network_policy import NetworkPolicy, Tensors
from gf_env.envs.observations import EXTRA_OBSERVATIONS


class Chooser(Protocol):
    """How actions follow from what a network makes of what was seen, its `choice`.

    Attributes:
        log_std: (2,) logarithms of the standard deviations of locations; None where a choice has
            no width.
    """

    @property
    def log_std(self) -> nn.Parameter | None: ...  # noqa: D102

    def likeliest(self, choice: torch.Tensor) -> torch.Tensor:
        """Return the likeliest action of each choice (...)."""
        ...

    def sample(self, choice: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a sampled action of each choice (...)."""
        ...

    def log_prob(self, choice: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities or log-densities (...) of actions."""
        ...

    def entropy(self, choice: torch.Tensor) -> torch.Tensor:
        """Return the entropy (...) of choices."""
        ...

    def to_actions(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return actions as `gf_env.policy.Policy.predict` has them."""
        ...


class ActorCriticConfig(Protocol):
    """What is asked of a network's configuration.

    Attributes:
        grid_size: n for a choice among n x n patches; None for locations.
        stop: whether one of its actions ends the episode.
    """

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of what it sees, by name, without the batch axis."""
        ...

    @property
    def grid_size(self) -> int | None: ...  # noqa: D102
    @property
    def stop(self) -> bool: ...  # noqa: D102


class ActorCritic(nn.Module, abc.ABC):
    """A network that proposes looks and says what is to be expected of them.

    Attributes:
        config: see `ActorCriticConfig`.
        actor: a `Chooser`, what makes actions of choices.
    """

    config: Any
    actor: Any

    @property
    def observe(self) -> tuple[str, ...]:
        """What it sees beyond what is always there."""
        return tuple(name for name in self.config.shapes if name in EXTRA_OBSERVATIONS)

    @abc.abstractmethod
    def initial_state(self, count: int) -> torch.Tensor:
        """Return the memory before the first action, (count, m) zeros."""

    def perceive(
        self, seen: Tensors, generator: torch.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """Return what it makes of n looks before anything that is trained, (n, ...) by name.

        Args:
            seen: (n, ...) float32 each, by name; others are ignored.
            generator: of the noise that it learns with; None: there is none.
        """
        return {name: seen[name] for name in self.config.shapes}

    @abc.abstractmethod
    def act(
        self, perceived: Tensors, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Propose the next look of n episodes.

        Args:
            perceived: (n, ...) each, by name, of `perceive`.
            memory: (n, m), zeros where an episode is new.

        Returns:
            What the actor takes for a choice (n, ...), values (n,) and the memory after it.
        """

    @abc.abstractmethod
    def replay(self, perceived: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Go through n whole episodes of A actions, from their first.

        Args:
            perceived: (A, n, ...) each, by name.

        Returns:
            What the actor takes for a choice (A, n, ...) and values (A, n).
        """

    def forward(
        self, seen: Tensors, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Propose the next look of n episodes from what is seen; see `act`."""
        return self.act(self.perceive(seen), memory)


_Network = TypeVar("_Network", bound=ActorCritic)


class ActorCriticPolicy(NetworkPolicy[_Network], Generic[_Network]):
    """An actor-critic as a `Policy`; its state is the network's memory.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    def __init__(self, network: _Network, seed: int = 0) -> None:
        super().__init__(network, seed)
        self.observe = network.observe
        self.grid_size = network.config.grid_size
        self.stop = network.config.stop

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the observations that it sees, by name."""
        shapes: Mapping[str, tuple[int, ...]] = self.network.config.shapes
        return shapes

    def initial_memory(self, count: int) -> torch.Tensor:
        """Return the memory before the first look, (count, m) zeros."""
        return self.network.initial_state(count)

    def choose(
        self, seen: Tensors, memory: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the next patches; see `NetworkPolicy.choose`."""
        choice, _, memory = self.network(seen, memory)
        actor = self.network.actor
        chosen = actor.likeliest(choice) if generator is None else actor.sample(choice, generator)
        return actor.to_actions(chosen), memory
