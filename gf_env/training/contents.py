"""What encoders learn where a label is joined from several small objects: what is there, and where.

Such an object says little of the label by itself, so the cross-entropy of labels teaches an encoder
nothing. The local encoder learns to tell what is in a patch. The global one learns where in the
glance objects of each kind are; not which they are, as that is for the looks to find out.
"""

import abc
import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from gf_env import geometry
from gf_env.datasets.base import Located
from gf_env.datasets.batches import Batch
from gf_env.network.image_classifier import ImageClassifier
from gf_env.network.preprocessing import crop
from gf_env.training.objectives import ClassifierObjective
from gf_env.training.samplers import LocationSampler


class PresenceObjective(ClassifierObjective):
    """Binary cross-entropies of what is there, summed over all that could be.

    Args:
        classifier: what is trained; its classes are what it tells.
        located: where objects are, and what they are.
    """

    def __init__(self, classifier: ImageClassifier, located: Located) -> None:
        super().__init__(classifier)
        self._located = located

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss of a batch."""
        logits, there, counts = self.told(batch, generator)
        losses = F.binary_cross_entropy_with_logits(logits, there, reduction="none")
        return (losses * counts).sum(1).mean()

    @abc.abstractmethod
    def told(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, what is there (0 or 1), and what counts (0 or 1), (n, m) float each."""

    def _objects(self, batch: Batch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the corners (n, k, 2) and contents (n, k) of a batch's objects, int64."""
        indices = batch.indices.numpy()
        corners = torch.from_numpy(self._located.objects[indices])
        contents = torch.from_numpy(self._located.contents[indices])
        return corners.to(device), contents.to(device)

    def _sizes(self, contents: torch.Tensor) -> torch.Tensor:
        """Return the height and width of contents (n, k), (n, k, 1) int64."""
        return torch.tensor(self._located.content_sizes, device=contents.device)[contents, None]


class ContentsObjective(PresenceObjective):
    """Which contents are in a patch; an object that is only partly in it does not count.

    Args:
        classifier: of patches; its classes are the contents.
        located: where objects are, and what they are.
        sampler: of one patch of each image.
    """

    def __init__(
        self, classifier: ImageClassifier, located: Located, sampler: LocationSampler
    ) -> None:
        super().__init__(classifier, located)
        self._sampler = sampler

    def told(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, what is there and what counts, (n, contents) each."""
        images, patch = batch.images, self.module.config.input_size
        locations, _ = self._sampler.sample(None, self._sampler.start(batch), generator)
        corners = geometry.corners(locations, images.shape[-1], patch)
        logits = self.module(crop(images, corners, patch)).float()
        objects, contents = self._objects(batch, images.device)
        offsets, size = objects - corners[:, None], self._sizes(contents)
        whole = ((offsets >= 0) & (offsets + size <= patch)).all(2)
        touched = ((offsets + size > 0) & (offsets < patch)).all(2)
        blank = torch.zeros_like(logits)
        there = blank.scatter_reduce(1, contents, whole.float(), "amax")
        cut = blank.scatter_reduce(1, contents, (touched & ~whole).float(), "amax")
        return logits, there, torch.where(there > 0, 1.0, 1 - cut)


class PlacesObjective(PresenceObjective):
    """In which cells of the feature map of a glance the middles of each kind's objects are.

    The classifier's own head tells it from each cell's features, pooled like a map of one cell.

    Args:
        classifier: of images made small; its classes are the kinds, or the kinds in each place of a
            cell, `named_places`.
        located: where objects are, and of which kind.
        per_cell: n for n x n places that are told apart in a cell.
    """

    def __init__(self, classifier: ImageClassifier, located: Located, per_cell: int = 1) -> None:
        super().__init__(classifier, located)
        self._per_cell = per_cell

    def told(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, what is there and what counts, (n, h * w * kinds) each."""
        encoder = self.module.encoder
        features = self.module.encode(batch.images).features
        count, channels, height, width = features.shape
        cells = features.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)  # of every place
        logits = encoder.own_logits(encoder.pool(cells)).float().view(count, height * width, -1)
        objects, contents = self._objects(batch, features.device)
        middles = (objects + self._sizes(contents) / 2) / batch.images.shape[-1]
        per_cell = self._per_cell
        places = torch.tensor([height, width], device=features.device) * per_cell
        rows, cols = (middles * places).long().unbind(2)
        kinds = torch.tensor(self._located.kinds, device=features.device)[contents]
        in_cell = rows % per_cell * per_cell + cols % per_cell
        cell = rows // per_cell * width + cols // per_cell
        numbers = cell * logits.shape[-1] + in_cell * len(self._located.kind_names) + kinds
        there = torch.zeros_like(logits).flatten(1).scatter(1, numbers, 1.0)
        return logits.flatten(1), there, torch.ones_like(there)


def named_places(kind_names: Sequence[str], per_cell: int) -> tuple[str, ...]:
    """Return the classes of a classifier that tells places, row-major, kinds within a place."""
    if per_cell == 1:
        return tuple(kind_names)
    places = itertools.product(range(per_cell), repeat=2)
    return tuple(f"{name} at {place}" for place in places for name in kind_names)
