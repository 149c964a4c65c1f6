"""Search with a belief: where what decides may be, less what has been looked at.

A network tells from the glance alone how probable each of k x k places in the image is to hold what
decides the class. Each look goes to the patch that covers most of that belief, which it then takes
out: what was not found there is looked for elsewhere. So the policy need not learn to search on
after a miss, which the learners from rewards hardly do; it is given to it (optimal search, Stone,
"Theory of Optimal Search", 1975). `agents.belief_learner` trains it.
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

from agents.policy import carried_memory
from gf_env.builtin import find_tensor_file
from gf_env.cost import count_multiply_adds
from gf_env.lattice import Lattice
from gf_env.tensor_files import load_into, load_tensors, save_tensors

FILE_KIND = "agents.BeliefPolicy.v1"


@dataclass(frozen=True)
class BeliefConfig:
    """Everything that is needed to build a policy anew.

    Attributes:
        feature_shape: (channels, h, w) of the glance's feature map.
        image_size: S in pixels.
        patch_size: P in pixels.
        grid_size: n for n x n patches to choose from.
        places: k for k x k places.
        margin: a patch covers the places that are at least so far inside of it, as a share of P;
            at the image's border those up to the border.
        hidden_size: of the network's one hidden layer.
        dropout: in it, while it is trained.
        search_on: take out of the belief what has been looked at; without it, every look goes to
            the same patch.
    """

    feature_shape: tuple[int, int, int]
    image_size: int
    patch_size: int
    grid_size: int
    places: int = 32
    margin: float = 1 / 6
    hidden_size: int = 1024
    dropout: float = 0.5
    search_on: bool = True

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "feature_shape", tuple(self.feature_shape))  # JSON has lists only
        for name in ("image_size", "patch_size", "grid_size", "places", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.margin < 0.5:
            raise ValueError(f"margin must be in [0, 0.5), got {self.margin}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        uncovered = int((coverage(self).sum(0) == 0).sum())
        if uncovered:
            raise ValueError(
                f"a grid of {self.grid_size} x {self.grid_size} patches leaves {uncovered} of "
                f"{self.places} x {self.places} places uncovered with margin {self.margin:g}; "
                "choose a finer grid or a smaller margin"
            )


def coverage(config: BeliefConfig) -> torch.Tensor:
    """Return which places each patch covers, (n * n, k * k) float32 of 0 and 1, both row-major."""
    size, patch = config.image_size, config.patch_size
    lines = torch.tensor(Lattice.grid(config.grid_size, size, patch).lines)[:, None]
    centres = (torch.arange(config.places) + 0.5) / config.places * size
    margin = config.margin * patch
    after = (centres >= lines + margin) | (lines == 0)
    before = (centres <= lines + patch - margin) | (lines == size - patch)
    within = (after & before & (centres >= lines) & (centres <= lines + patch)).float()  # (n, k)
    both = within[:, None, :, None] * within[None, :, None, :]  # (n, n, k, k)
    return both.reshape(config.grid_size**2, config.places**2)


class BeliefNetwork(nn.Module):
    """From a glance to a belief.

    Args:
        config: see `BeliefConfig`.
    """

    coverage: torch.Tensor

    def __init__(self, config: BeliefConfig) -> None:
        super().__init__()
        self.config = config
        channels, height, width = config.feature_shape
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_size, config.places**2),
        )
        self.register_buffer("coverage", coverage(config), persistent=False)

    def forward(self, glance: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of places (n, k * k) for glances (n, channels, h, w)."""
        log_belief: torch.Tensor = self.layers(glance).log_softmax(1)
        return log_belief


class BeliefPolicy:
    """Search with a belief, as a `Policy` on a grid.

    What it remembers is the belief that is left, so it looks nowhere twice while there is
    something to look for elsewhere.

    Args:
        network: trained or not.
        seed: of the generator for samples.

    Attributes:
        observe: extra observation keys that it sees.
        grid_size: n, it chooses among n x n patches.
    """

    observe = ("glance",)

    def __init__(self, network: BeliefNetwork, seed: int = 0) -> None:
        self.network = network.eval()
        self.grid_size = network.config.grid_size
        self._generator = torch.Generator().manual_seed(seed)

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Of an episode's first choice for one image; those after it cost less."""
        shape = self.network.config.feature_shape
        blank = torch.zeros(1, *shape, device=self.network.coverage.device)
        return count_multiply_adds(lambda: self.network(blank).exp() @ self.network.coverage.T)

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: NDArray[np.float32] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Choose the next patches.

        Args:
            observation: `glance` (n, channels, h, w).
            state: the belief that is left, (n, k * k), or None.
            episode_start: (n,) bool; those rows begin with a new belief.
            deterministic: the patch that covers most, instead of that which covers most around a
                place that is drawn from the belief.

        Returns:
            grid indices (n,) int64, and the belief that is left, (n, k * k) float32.

        Raises:
            ValueError: an observation that is missing or of another shape than the network was
                made for.
        """
        glance = self._glance(observation)
        device = self.network.coverage.device
        size = self.network.config.places**2
        left = carried_memory(torch.zeros(len(glance), size, device=device), state, episode_start)
        new = left.sum(1) == 0
        if new.any():
            left[new] = self.network(glance[new]).exp()
        covered = left @ self.network.coverage.T  # (n, patches)
        if not deterministic:
            place = torch.multinomial(left.cpu(), 1, generator=self._generator)[:, 0]
            covered = covered * self.network.coverage.T[place.to(device)]
        chosen = covered.argmax(1)
        if self.network.config.search_on:
            # never down to nothing, which would be a new episode's
            left = left * (1 - self.network.coverage[chosen]) + torch.finfo(left.dtype).tiny
        return chosen.cpu().numpy(), left.cpu().numpy()

    def _glance(self, observation: Mapping[str, NDArray[Any]]) -> torch.Tensor:
        shape = self.network.config.feature_shape
        if "glance" not in observation:
            raise ValueError(
                f"this policy sees 'glance', which is not among the observations "
                f"{sorted(observation)}; make the environment with observe={self.observe}"
            )
        glance = np.asarray(observation["glance"])
        if glance.shape[1:] != shape:
            raise ValueError(f"this policy sees glances of shape (n, *{shape}), got {glance.shape}")
        return torch.from_numpy(glance).to(self.network.coverage.device)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration as safetensors.

        Raises:
            OSError: no room or no permission; a file that was at `path` stays.
        """
        config = dataclasses.asdict(self.network.config)
        save_tensors(path, FILE_KIND, config, self.network.state_dict())

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], seed: int = 0) -> BeliefPolicy:
        """Return a policy.

        Args:
            name_or_path: a built-in name or a file written by `save`.
            seed: of the generator for samples.

        Raises:
            ValueError: neither a built-in name nor a file.
            TensorFileError: a damaged file, or one that holds something else.
        """
        path = find_tensor_file("agents", name_or_path)
        config, tensors = load_tensors(path, FILE_KIND)
        network = BeliefNetwork(BeliefConfig(**config))
        load_into(network, tensors, path)
        return cls(network, seed)
