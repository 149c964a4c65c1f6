"""Search with a belief: where what decides may be, less what has been looked at.

A network tells from the glance how probable each of k x k places in the image is to hold what
decides the class. Each look goes to the patch that covers most of that belief, which it then takes
out: what was not found there is looked for elsewhere. What the look showed, such as something that
sticks into the patch from outside, is evidence on the places around it. So the policy need not
learn to search on after a miss, which the learners from rewards hardly do; it is given to it
(optimal search, Stone, "Theory of Optimal Search", 1975). `agents.learners.belief_search` trains
it.
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

from agents.policies.base import carried_memory, seen_by
from gf_env.geometry import Lattice
from gf_env.network.cost import count_multiply_adds
from gf_env.storage.assets import find_tensor_file
from gf_env.storage.tensors import load_into, load_tensors, save_tensors

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
        hidden_size: of the hidden layer between the glance and the belief.
        dropout: in it, while it is trained.
        evidence_size: of the hidden layer between what a look shows and its evidence; 0: looks are
            no evidence.
        reach: how far around a patch its evidence goes, as a share of P.
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
    evidence_size: int = 512
    reach: float = 1.0
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
        for name in ("evidence_size", "reach"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
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


def surroundings(config: BeliefConfig) -> tuple[torch.Tensor, int]:
    """Return which places a patch's evidence is on.

    Returns:
        (n * n, r * r) int64, indices of places on a map with a rim, k + 2 r places wide, both
        row-major; and r, the width of the evidence in places.
    """
    per_pixel = config.places / config.image_size
    beyond = config.reach * config.patch_size
    width = round((config.patch_size + 2 * beyond) * per_pixel)
    lines = torch.tensor(Lattice.grid(config.grid_size, config.image_size, config.patch_size).lines)
    first = ((lines - beyond) * per_pixel).round().long() + width  # on the map with the rim
    along = first[:, None] + torch.arange(width)  # (n, r)
    rows = along[:, None, :, None] * (config.places + 2 * width)
    return (rows + along[None, :, None, :]).reshape(config.grid_size**2, -1), width


class BeliefNetwork(nn.Module):
    """From what is seen to a belief.

    Args:
        config: see `BeliefConfig`.
    """

    coverage: torch.Tensor
    _surroundings: torch.Tensor

    def __init__(self, config: BeliefConfig) -> None:
        super().__init__()
        self.config = config
        channels, height, width = config.feature_shape
        inputs = channels * height * width
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden_size, config.places**2),
        )
        around, self._width = surroundings(config)
        self.register_buffer("coverage", coverage(config), persistent=False)
        self.register_buffer("_surroundings", around, persistent=False)
        self.evidence_layers = (
            nn.Sequential(
                nn.Flatten(),
                nn.Linear(inputs, config.evidence_size),
                nn.ReLU(),
                nn.Linear(config.evidence_size, self._width**2),
            )
            if config.evidence_size
            else None
        )

    def forward(self, glance: torch.Tensor) -> torch.Tensor:
        """Return logits of places (n, k * k) for glances (n, channels, h, w)."""
        logits: torch.Tensor = self.layers(glance)
        return logits

    def evidence(self, features: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Return what looks add to the logits of places.

        Args:
            features: (n, channels, h, w), what they showed.
            patches: (n,) int64, of the grid.

        Returns:
            (n, k * k), 0 at places that are out of reach.
        """
        places, width = self.config.places, self._width
        if self.evidence_layers is None:
            return features.new_zeros(len(features), places**2)
        side = places + 2 * width
        rimmed = features.new_zeros(len(features), side**2).scatter(
            1, self._surroundings[patches], self.evidence_layers(features)
        )
        inner = rimmed.view(-1, side, side)[:, width:-width, width:-width]
        return inner.flatten(1)

    def choose(self, logits: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
        """Return how much of the belief that is left each patch covers, (n, patches).

        Args:
            logits: (n, k * k).
            unseen: (n, k * k), 1 where nothing has been looked at, else 0.
        """
        return (logits.softmax(1) * unseen) @ self.coverage.T


class BeliefPolicy:
    """Search with a belief, as a `Policy` on a grid.

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
        unseen = torch.ones(1, self.network.config.places**2, device=blank.device)
        return count_multiply_adds(lambda: self.network.choose(self.network(blank), unseen))

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
            observation: `glance` and `features`, (n, channels, h, w) both.
            state: of the call before, or None.
            episode_start: (n,) bool; those rows begin with a new belief.
            deterministic: the patch that covers most, instead of that which covers most around a
                place that is drawn from the belief.

        Returns:
            grid indices (n,) int64, and the state after them, (n, 2 k * k + 1) float32: logits of
            places, 1 at places that have not been looked at, and the patch, counted from 1.

        Raises:
            ValueError: an observation that is missing or of another shape than the network was
                made for.
        """
        shapes = dict.fromkeys(("glance", "features"), self.network.config.feature_shape)
        device = self.network.coverage.device
        glance, features = seen_by(observation, shapes, self.observe, device).values()
        size = self.network.config.places**2
        fresh = torch.zeros(len(glance), 2 * size + 1, device=glance.device)
        memory = carried_memory(fresh, state, episode_start)
        logits, unseen, last = torch.split(memory, [size, size, 1], dim=1)
        new = last[:, 0] == 0
        newest = self.network.evidence(features, (last[:, 0].long() - 1).clamp(min=0))
        logits = torch.where(new[:, None], self.network(glance), logits + newest)
        # whoever has looked everywhere begins again
        unseen = torch.where((new | (unseen.sum(1) == 0))[:, None], 1.0, unseen)
        covered = self.network.choose(logits, unseen)
        if not deterministic:
            belief = (logits.softmax(1) * unseen).cpu() + torch.finfo(torch.float32).tiny
            place = torch.multinomial(belief, 1, generator=self._generator)[:, 0]
            covered = (covered + 1) * self.network.coverage.T[place.to(covered.device)]
        chosen = covered.argmax(1)
        if self.network.config.search_on:
            unseen = unseen * (1 - self.network.coverage[chosen])
        state_after = torch.cat([logits, unseen, chosen[:, None] + 1], dim=1)
        return chosen.cpu().numpy(), state_after.cpu().numpy()

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
