"""The looks of a policy, for a network that learns on them (stage 3; paper, section 3.2)."""

from typing import Any

import torch
from typing_extensions import override

from agents.policies.network_policy import NetworkPolicy
from gf_env.datasets.batches import Batch
from gf_env.envs.actions import action_codec
from gf_env.envs.observations import observation_tensors
from gf_env.network.config import NetworkConfig
from gf_env.policy import stops
from gf_env.training.samplers import LocationSampler, Looked


class PolicySampler(LocationSampler):
    """The patches that a policy draws; its memory is the policy's.

    Args:
        policy: a network, on the device of what is trained.
        network: the configuration of what is trained, whose images the policy looks at.

    Raises:
        TypeError: a policy that does not choose on tensors.
        ValueError: one that stops, or that sees other observations than the network shows.
    """

    def __init__(self, policy: NetworkPolicy[Any], network: NetworkConfig) -> None:
        if not isinstance(policy, NetworkPolicy):
            raise TypeError(
                f"{type(policy).__name__} cannot steer training: only policies that are a network "
                "of this package choose on tensors"
            )
        if stops(policy):
            raise ValueError(
                f"{type(policy).__name__} stops, but a network is trained on episodes of full "
                "length; give a policy that only says where to look"
            )
        self._policy = policy
        self._actions = action_codec(
            policy.grid_size, network.image_size, network.patch_size, policy.device
        )

    @override
    def start(self, batch: Batch) -> torch.Tensor:
        return self._policy.initial_memory(len(batch.labels))

    @override
    def sample(
        self, looked: Looked | None, memory: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert looked is not None  # a network is trained
        seen = observation_tensors(looked, self._policy.observe)
        actions, memory = self._policy.choose(seen, memory, generator)
        return self._actions.to_look(actions).locations, memory
