"""The map as a `Policy`."""

import functools

import torch

from agents.policies.actor_critic import ActorCriticPolicy
from agents.policies.map_network import MapConfig, MapNetwork
from gf_env.network.cost import count_multiply_adds
from gf_env.policy import ChoiceCost

FILE_KIND = "agents.MapPolicy.v1"


class MapPolicy(ActorCriticPolicy[MapNetwork]):
    """The map as a `Policy`; its state is `MapNetwork.initial_state`'s.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    file_kind = FILE_KIND
    network_class = MapNetwork
    config_class = MapConfig

    @functools.cached_property
    def multiply_adds(self) -> ChoiceCost:
        """Of choices for one image, the critic's included: first from the glance, then from looks.

        A choice to stop costs as much as one of a patch, after a look as a rule.
        """
        memory = self.initial_memory(1)

        def choosing(step: int) -> int:
            seen = {**self._blank(), "step": torch.full((1, 1), float(step), device=self.device)}
            return count_multiply_adds(lambda: self.choose(seen, memory, None))

        first, later = choosing(1), choosing(2)
        return ChoiceCost(first, later, stop=later if self.stop else 0)
