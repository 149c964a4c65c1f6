"""The paper's policy pi: a patch proposal network with a memory of its own (section 3.1, appendix).

It sees the newest feature map only: neither the classifier's state nor where it has looked.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from agents.policies.base import carried_memory
from gf_env.geometry import location_to_action
from gf_env.network.cost import count_multiply_adds
from gf_env.storage.assets import asset_names, find_tensor_file
from gf_env.storage.tensors import load_into, load_tensors, save_tensors

FILE_KIND = "agents.PaperPolicy.v1"
STATE_ENCODERS = ("conv", "flat")


@dataclass(frozen=True)
class PatchProposalConfig:
    """Everything that is needed to build a policy anew.

    Attributes:
        feature_shape: (channels, h, w) of the feature maps it sees.
        state_encoder: `conv`, a 1 x 1 convolution to 32 channels and one linear layer, as the
            paper has it for MobileNetV3, EfficientNet and RegNet; `flat`, two linear layers, as
            for ResNet and DenseNet.
        hidden_size: of its GRU; the paper's is 256 for `conv` and 1024 for `flat`.
        action_std: fixed standard deviation of both axes, as a fraction of the way a patch can
            travel.
    """

    feature_shape: tuple[int, int, int]
    state_encoder: str = "conv"
    hidden_size: int = 256
    action_std: float = 0.1

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "feature_shape", tuple(self.feature_shape))
        if len(self.feature_shape) != 3 or min(self.feature_shape) < 1:
            raise ValueError(f"feature_shape is (channels, h, w), got {self.feature_shape}")
        if self.state_encoder not in STATE_ENCODERS:
            raise ValueError(
                f"unknown state_encoder {self.state_encoder!r}; "
                f"choose one of {list(STATE_ENCODERS)}"
            )
        if self.hidden_size < 1 or not self.action_std > 0:
            raise ValueError(
                "hidden_size and action_std must be positive, "
                f"got {self.hidden_size} and {self.action_std}"
            )


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

    @torch.no_grad()
    def sample(
        self, features: torch.Tensor, hidden: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the next look, as a `gf_env.training.objectives.LocationSampler` does for stage 3.

        Args:
            features: (n, channels, h, w), newest feature map.
            hidden: (n, hidden_size).
            generator: draws the sample.

        Returns:
            Location (n, 2) in [0, 1] and the state after it (n, hidden_size).
        """
        mean, _, hidden = self(features, hidden)
        return self.perturb(mean, generator), hidden


def policy_names() -> list[str]:
    """Return the names of the built-in policies."""
    return asset_names("agents")


class PaperPolicy:
    """The patch proposal network as a `Policy`.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    def __init__(self, network: PatchProposalNetwork, seed: int = 0) -> None:
        self.network = network
        self._generator = torch.Generator().manual_seed(seed)

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Of one choice for one image, the critic's included; counted when first asked for."""
        device = self.network.critic.weight.device
        features = torch.zeros(1, *self.network.config.feature_shape, device=device)
        hidden = self.network.initial_state(features)
        return count_multiply_adds(lambda: self.network(features, hidden))

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: NDArray[np.float32] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Choose the next patches.

        Args:
            observation: batched; only `features` (n, channels, h, w) is used.
            state: (n, hidden_size) of the call before, or None.
            episode_start: (n,) bool; the state of those rows is cleared.
            deterministic: the mean instead of a sample.

        Returns:
            actions (n, 2) float32 in [-1, 1] and the state after them.

        Raises:
            ValueError: features of another shape than the network was made for.
        """
        device = self.network.critic.weight.device
        array = np.asarray(observation["features"])
        if array.shape[1:] != self.network.config.feature_shape:
            raise ValueError(
                f"this policy sees features of shape (n, {self.network.config.feature_shape}), "
                f"got {array.shape}"
            )
        features = torch.from_numpy(array).to(device)
        hidden = carried_memory(self.network.initial_state(features), state, episode_start)
        mean, _, hidden = self.network(features, hidden)
        locations = mean if deterministic else self.network.perturb(mean, self._generator)
        return location_to_action(locations).cpu().numpy(), hidden.cpu().numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration as safetensors.

        Raises:
            OSError: no room or no permission; a file that was at `path` stays.
        """
        config = dataclasses.asdict(self.network.config)
        save_tensors(path, FILE_KIND, config, self.network.state_dict())

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], seed: int = 0) -> PaperPolicy:
        """Return a policy.

        Args:
            name_or_path: a built-in name (see `policy_names`) or a file written by `save`.
            seed: of the generator for samples.

        Raises:
            ValueError: neither a built-in name nor a file.
            TensorFileError: a damaged file, or one that holds something else.
        """
        path = find_tensor_file("agents", name_or_path)
        config, tensors = load_tensors(path, FILE_KIND)
        network = PatchProposalNetwork(PatchProposalConfig(**config))
        load_into(network, tensors, path)
        return cls(network, seed)
