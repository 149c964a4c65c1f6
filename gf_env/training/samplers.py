"""Where a network looks while it is trained: what stage 1 samples (paper, section 3.2).

In the paper random patches. Where what counts fills little of an image and several looks must be
joined, few random patches say anything; there a share of the looks goes to objects whose places the
data set knows.
"""

from typing import NamedTuple, Protocol

import torch
from typing_extensions import override

from gf_env.datasets.base import Dataset, located
from gf_env.datasets.batches import Batch


class Looked(NamedTuple):
    """What n images have shown until now, without gradients; as `gf_env.envs.episodes.Episodes`.

    Attributes:
        step: (n,) int64, looks taken so far, the glance included.
        features: (n, channels, h, w) float32, feature map of the newest look.
        glance_features: likewise, of the glance.
        hidden: (n, H) float32, the classifier's state.
        logits: (n, classes) float32.
        locations: (n, T - 1, 2) float32 in [0, 1], where the looks were; 0.5 of those to come.
    """

    step: torch.Tensor
    features: torch.Tensor
    glance_features: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor
    locations: torch.Tensor


class LocationSampler(Protocol):
    """Chooses the locations of the looks while a network is trained."""

    def start(self, batch: Batch) -> torch.Tensor:
        """Return the sampler's memory before the first choice, (n, ...)."""
        ...

    def sample(
        self, looked: Looked | None, memory: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return locations (n, 2) in [0, 1], drawn with the generator, and the memory after it.

        Args:
            looked: what there was to see; None for a sampler that needs no network.
            memory: as `start` returned it.
            generator: on the CPU.
        """
        ...


class UniformSampler(LocationSampler):
    """Random patches, as in stage 1 of the paper; its memory is empty."""

    @override
    def start(self, batch: Batch) -> torch.Tensor:
        return torch.zeros(len(batch.images), 0, device=batch.images.device)

    @override
    def sample(
        self, looked: Looked | None, memory: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return random_locations(len(memory), generator).to(memory.device), memory


class ObjectSampler(LocationSampler):
    """A share of looks at objects, the others anywhere.

    Such a look holds the whole object, at a random place within the patch. Its memory is the
    objects' corners, (n, k, 2) int64.

    Args:
        dataset: the images.
        patch_size: P, pixels.
        share: of the looks at objects.
        weights: how likely each object is against the others, in the data set's order; the last
            one also counts for all further ones.

    Raises:
        ValueError: a data set that does not know where objects are, or objects larger than a patch.
    """

    def __init__(
        self, dataset: Dataset, patch_size: int, share: float, weights: tuple[float, ...] = (1.0,)
    ) -> None:
        self._located = located(dataset)
        largest = max(self._located.content_sizes)
        self._slack = patch_size - largest
        if self._slack < 0:
            raise ValueError(f"objects of {largest} pixels do not fit into patches of {patch_size}")
        self._travel = dataset.spec.image_size - patch_size
        self._share, self._weights = share, weights

    @override
    def start(self, batch: Batch) -> torch.Tensor:
        objects = self._located.objects[batch.indices.numpy()]
        return torch.from_numpy(objects).to(batch.images.device)

    @override
    def sample(
        self, looked: Looked | None, memory: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, objects, _ = memory.shape
        more = objects - len(self._weights)
        weights = torch.tensor((self._weights + self._weights[-1:] * more)[:objects])
        chosen = weights.multinomial(count, replacement=True, generator=generator)
        shift = torch.randint(self._slack + 1, (count, 2), generator=generator)
        anywhere = random_locations(count, generator).to(memory.device)
        at_objects = torch.rand(count, 1, generator=generator) < self._share
        corners = memory[torch.arange(count), chosen] - shift.to(memory.device)
        near = (corners / self._travel).clamp(0, 1)
        return torch.where(at_objects.to(near.device), near, anywhere), memory


def random_locations(count: int, generator: torch.Generator) -> torch.Tensor:
    """Return uniform locations (count, 2) in [0, 1], on the CPU."""
    return torch.rand(count, 2, generator=generator)
