"""The looks of a policy, for a network that learns on them (stage 3; paper, section 3.2)."""

from typing import Any

import torch
from typing_extensions import override

from agents.policies.network_policy import NetworkPolicy
from gf_env.datasets.batches import Batch
from gf_env.envs.actions import action_codec
from gf_env.envs.observations import observation_tensors
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import stops
from gf_env.training.objectives import after_the_glance
from gf_env.training.samplers import LocationSampler, Looked


class PolicySampler(LocationSampler):
    """The patches that a policy draws; its memory is the policy's.

    Args:
        policy: a network, on the device of what is trained.
        network: what is trained; in eval mode yet.

    Raises:
        ValueError: a policy that does not choose on tensors, that stops, or that was made for other
            images or another network.
    """

    def __init__(self, policy: object, network: GlanceFocusNet) -> None:
        self._policy = _steering(policy, network)
        config = network.config
        self._actions = action_codec(
            self._policy.grid_size, config.image_size, config.patch_size, self._policy.device
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


def _steering(policy: object, network: GlanceFocusNet) -> NetworkPolicy[Any]:
    """Return a policy that can steer the training of a network, or say why it cannot."""
    name = type(policy).__name__
    if not isinstance(policy, NetworkPolicy):
        raise ValueError(
            f"{name} cannot steer training: only policies that are a network of this package "
            "choose on tensors"
        )
    if stops(policy):
        raise ValueError(
            f"{name} stops, but a network is trained on episodes of full length; give a policy "
            "that only says where to look"
        )
    config = network.config
    sizes = config.image_size, config.patch_size
    if policy.made_for not in (None, sizes):
        raise ValueError(
            f"{name} was made for images and patches of {policy.made_for} pixels, the network is "
            f"for {sizes}"
        )
    policy.check_shown(_shown(network, policy.observe))
    return policy


@torch.no_grad()
def _shown(network: GlanceFocusNet, observe: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return what a network shows of one blank image, by name."""
    config = network.config
    blank = (1, config.channels, config.image_size, config.image_size)
    glimpse = network.glance(torch.zeros(blank, dtype=torch.uint8, device=network.device))
    label = torch.zeros(1, dtype=torch.int64, device=network.device)
    looked = after_the_glance(glimpse, label, config.sequence_length)
    return observation_tensors(looked, observe)
