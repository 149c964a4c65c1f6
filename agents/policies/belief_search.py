"""Search with a belief: where what decides may be, less what has been looked at.

A network tells from the glance how probable each of k x k places in the image is to hold what
decides the class. Each look goes to the patch that covers most of that belief, which it then takes
out: what was not found there is looked for elsewhere. What the look showed, such as something that
sticks into the patch from outside, is evidence on the places around it. So the policy need not
learn to search on after a miss, which the learners from rewards hardly do; it is given to it
(optimal search, Stone, "Theory of Optimal Search", 1975). `agents.learners.belief_search` trains
it.
"""

import functools
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import nn

from agents.policies.network_policy import NetworkPolicy, Tensors
from gf_env.configuration import configuration
from gf_env.geometry import Lattice
from gf_env.network.cost import count_multiply_adds
from gf_env.policy import ChoiceCost

FILE_KIND = "agents.BeliefPolicy.v1"
MOST_PAIRS = 1 << 24
"""Of a patch and a place that it may cover; a table of floats has them all."""


@configuration
class BeliefSettings:
    """What can be chosen of a belief, and of the search with it."""

    places: PositiveInt = 32
    """k; the belief is on k x k places of the image."""
    margin: Annotated[float, Field(ge=0, lt=0.5)] = 1 / 6
    """A patch covers the places that are at least so far inside of it, as a share of the patch; at
    the image's border those up to the border."""
    hidden_size: PositiveInt = 1024
    """Of the hidden layer between the glance and the belief."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """In that layer, in training."""
    evidence_size: NonNegativeInt = 512
    """Of the hidden layer between what a look shows and its evidence; 0: looks are no evidence."""
    reach: NonNegativeFloat = 1.0
    """How far around a patch its evidence goes, as a share of the patch."""
    search_on: bool = True
    """Take out of the belief what has been looked at; without it, every look goes to the same
    patch."""


@configuration
class BeliefConfig(BeliefSettings):
    """Everything that is needed to build a policy anew."""

    _: KW_ONLY
    feature_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """(channels, h, w) of the glance's feature map."""
    image_size: PositiveInt
    """S in pixels."""
    patch_size: PositiveInt
    """P in pixels."""
    grid_size: PositiveInt
    """n for n x n patches to choose from."""

    def __post_init__(self) -> None:
        """Refuse a grid whose patches leave places uncovered, and one of too many."""
        pairs = (self.grid_size * self.places) ** 2
        if pairs > MOST_PAIRS:
            raise ValueError(
                f"{self.grid_size} x {self.grid_size} patches and {self.places} x {self.places} "
                f"places are {pairs} pairs, of at most {MOST_PAIRS}; choose a coarser grid or "
                "fewer places"
            )
        uncovered = self.places**2 - int(_within(self).any(0).sum()) ** 2
        if uncovered:
            raise ValueError(
                f"a grid of {self.grid_size} x {self.grid_size} patches leaves {uncovered} of "
                f"{self.places} x {self.places} places uncovered with margin {self.margin:g}; "
                "choose a finer grid or a smaller margin"
            )


def coverage(config: BeliefConfig) -> torch.Tensor:
    """Return which places each patch covers, (n * n, k * k) float32 of 0 and 1, both row-major."""
    within = _within(config).float()
    both = within[:, None, :, None] * within[None, :, None, :]  # (n, n, k, k)
    return both.reshape(config.grid_size**2, config.places**2)


def _within(config: BeliefConfig) -> torch.Tensor:
    """Return which places patches cover along an axis, (n, k) bool."""
    size, patch = config.image_size, config.patch_size
    lines = torch.tensor(Lattice.grid(config.grid_size, size, patch).lines)[:, None]
    centres = (torch.arange(config.places) + 0.5) / config.places * size
    margin = config.margin * patch
    after = (centres >= lines + margin) | (lines == 0)
    before = (centres <= lines + patch - margin) | (lines == size - patch)
    return after & before & (centres >= lines) & (centres <= lines + patch)


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


class BeliefPolicy(NetworkPolicy[BeliefNetwork]):
    """Search with a belief, as a `Policy` on a grid.

    Its state is (n, 2 k * k + 1) float32: logits of places, 1 at places that have not been looked
    at, and the newest patch, counted from 1. A sample is the patch that covers most around a place
    that is drawn from the belief, instead of the one that covers most.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    file_kind = FILE_KIND
    network_class = BeliefNetwork
    config_class = BeliefConfig
    observe = ("glance",)

    def __init__(self, network: BeliefNetwork, seed: int = 0) -> None:
        super().__init__(network, seed)
        config = network.config
        self.grid_size = config.grid_size
        self.made_for = config.image_size, config.patch_size

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the feature maps of the glance and the newest look."""
        return dict.fromkeys(("glance", "features"), self.network.config.feature_shape)

    def initial_memory(self, count: int) -> torch.Tensor:
        """Return the state before the first look, (count, 2 k * k + 1) zeros."""
        return torch.zeros(count, 2 * self.network.config.places**2 + 1, device=self.device)

    @functools.cached_property
    def multiply_adds(self) -> ChoiceCost:
        """Of choices for one image: first from the glance, then from what each look shows."""
        glance = self._blank()["glance"]
        belief = unseen = torch.ones(1, self.network.config.places**2, device=self.device)
        patches = torch.zeros(1, dtype=torch.int64, device=self.device)
        choosing = count_multiply_adds(lambda: self.network.choose(belief, unseen))
        seeing = count_multiply_adds(lambda: self.network(glance))
        weighing = count_multiply_adds(lambda: self.network.evidence(glance, patches))
        return ChoiceCost(seeing + choosing, weighing + choosing, stop=0)

    def choose(
        self, seen: Tensors, memory: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the next patches; see `NetworkPolicy.choose`."""
        size = self.network.config.places**2
        logits, unseen, last = torch.split(memory, [size, size, 1], dim=1)
        new = last[:, 0] == 0
        logits = self._weigh(seen, logits, new, last[:, 0].long() - 1)
        # whoever has looked everywhere begins again
        unseen = torch.where((new | (unseen.sum(1) == 0))[:, None], 1.0, unseen)
        covered = self.network.choose(logits, unseen)
        if generator is not None:
            belief = (logits.softmax(1) * unseen).cpu() + torch.finfo(torch.float32).tiny
            place = torch.multinomial(belief, 1, generator=generator)[:, 0]
            covered = (covered + 1) * self.network.coverage.T[place.to(covered.device)]
        chosen = covered.argmax(1)
        if self.network.config.search_on:
            unseen = unseen * (1 - self.network.coverage[chosen])
        return chosen, torch.cat([logits, unseen, chosen[:, None] + 1], dim=1)

    def corrected(
        self,
        before: NDArray[np.float32] | None,
        after: NDArray[np.float32],
        locations: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the state as it were if somebody else had chosen the newest look.

        Args:
            before: (n, 2 k * k + 1), the state before `predict`; None at first.
            after: likewise, the state that it returned.
            locations: (n, 2) in [0, 1], where the look was instead; the nearest patch of the grid
                counts.
        """
        config = self.network.config
        size = config.places**2
        lattice = Lattice.grid(config.grid_size, config.image_size, config.patch_size)
        patches = lattice.index(torch.from_numpy(locations)).numpy()
        unseen = np.ones_like(after[:, :size]) if before is None else before[:, size:-1].copy()
        unseen[~unseen.any(1)] = 1  # whoever has looked everywhere begins again
        if config.search_on:
            unseen *= 1 - self.network.coverage[patches].cpu().numpy()
        newest = patches[:, None].astype(np.float32) + 1
        return np.concatenate([after[:, :size], unseen, newest], axis=1)

    def _weigh(
        self, seen: Tensors, logits: torch.Tensor, new: torch.Tensor, newest: torch.Tensor
    ) -> torch.Tensor:
        """Return logits after the glance of new episodes, and after the newest patch of others."""
        rows, others = new.nonzero()[:, 0], (~new).nonzero()[:, 0]
        if len(rows):
            logits = logits.index_copy(0, rows, self.network(seen["glance"][rows]))
        if len(others):
            evidence = self.network.evidence(seen["features"][others], newest[others])
            logits = logits.index_add(0, others, evidence)
        return logits
