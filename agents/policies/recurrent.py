"""The recurrent network as a `Policy`."""

from collections.abc import Mapping

import torch

from agents.policies.network_policy import NetworkPolicy, Tensors
from agents.policies.recurrent_network import RecurrentPolicyConfig, RecurrentPolicyNetwork

FILE_KIND = "agents.RecurrentPolicy.v1"


class RecurrentPolicy(NetworkPolicy[RecurrentPolicyNetwork]):
    """The recurrent network as a `Policy`; its state is `RecurrentPolicyNetwork.initial_state`'s.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    file_kind = FILE_KIND
    network_class = RecurrentPolicyNetwork
    config_class = RecurrentPolicyConfig

    def __init__(self, network: RecurrentPolicyNetwork, seed: int = 0) -> None:
        super().__init__(network, seed)
        self.observe = network.observe
        self.grid_size = network.config.grid_size
        self.stop = network.config.stop

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the observations that it sees, by name."""
        return self.network.config.shapes

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
