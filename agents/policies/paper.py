"""The paper's policy pi: a patch proposal network with a memory of its own (section 3.1, appendix).

It sees the newest feature map only: neither the classifier's state nor where it has looked.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from agents.policies.network_policy import NetworkPolicy, Tensors
from gf_env.configuration import configuration
from gf_env.geometry import location_to_action

FILE_KIND = "agents.PaperPolicy.v1"
StateEncoder = Literal["conv", "flat"]
STATE_ENCODERS = get_args(StateEncoder)


@configuration
class PatchProposalConfig:
    """Everything that is needed to build a policy anew."""

    feature_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """(channels, h, w) of the feature maps it sees."""
    state_encoder: StateEncoder = "conv"
    """`conv`, a 1 x 1 convolution to 32 channels and one linear layer, as the paper has it for
    MobileNetV3, EfficientNet and RegNet; `flat`, two linear layers, as for ResNet and DenseNet."""
    hidden_size: PositiveInt = 256
    """Of its GRU; the paper's is 256 for `conv` and 1024 for `flat`."""
    action_std: PositiveFloat = 0.1
    """Fixed standard deviation of both axes, as a fraction of the way a patch can travel."""


class PatchProposalNetwork(nn.Module):
    """State encoder, GRU cell, actor and critic.

    Args:
        config: see `PatchProposalConfig`.
    """

    def __init__(self, config: PatchProposalConfig) -> None:
        super().__init__()
        self.config = config
        channels, height, width = config.feature_shape
        size = config.hidden_size
        if config.state_encoder == "conv":
            layers: list[nn.Module] = [nn.Conv2d(channels, 32, 1, bias=False), nn.ReLU()]
            layers += [nn.Flatten(), nn.Linear(32 * height * width, size), nn.ReLU()]
        else:
            layers = [nn.Flatten(), nn.Linear(channels * height * width, 2 * size), nn.ReLU()]
            layers += [nn.Linear(2 * size, size), nn.ReLU()]
        self.state_encoder = nn.Sequential(*layers)
        self.gru = nn.GRUCell(size, size)
        self.actor = nn.Linear(size, 2)
        self.critic = nn.Linear(size, 1)

    def initial_state(self, features: torch.Tensor) -> torch.Tensor:
        """Return the state before the first action: zeros, (n, hidden_size)."""
        return features.new_zeros(len(features), self.config.hidden_size)

    def forward(
        self, features: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Propose the next look.

        Args:
            features: (n, channels, h, w), newest feature map.
            hidden: (n, hidden_size).

        Returns:
            Mean location (n, 2) in [0, 1], value (n,) and the state after it (n, hidden_size).
        """
        hidden = self.gru(self.state_encoder(features), hidden)
        return self.actor(hidden).sigmoid(), self.critic(hidden)[:, 0], hidden

    def perturb(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return samples (n, 2) in [0, 1] around mean locations (n, 2), clipped to the image."""
        noise = torch.randn(mean.shape, generator=generator, device=generator.device)
        return (mean + self.config.action_std * noise.to(mean.device)).clamp(0, 1)


class PaperPolicy(NetworkPolicy[PatchProposalNetwork]):
    """The patch proposal network as a `Policy`; its state is the GRU's.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    file_kind = FILE_KIND
    network_class = PatchProposalNetwork
    config_class = PatchProposalConfig

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the feature map, which is all that it sees."""
        return {"features": self.network.config.feature_shape}

    def initial_memory(self, count: int) -> torch.Tensor:
        """Return the GRU's state before the first look, (count, hidden_size) zeros."""
        return torch.zeros(count, self.network.config.hidden_size, device=self.device)

    def choose(
        self, seen: Tensors, memory: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the next patches; see `NetworkPolicy.choose`."""
        mean, _, memory = self.network(seen["features"], memory)
        locations = mean if generator is None else self.network.perturb(mean, generator)
        return location_to_action(locations), memory
