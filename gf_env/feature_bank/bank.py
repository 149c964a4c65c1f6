"""Feature banks: what a frozen network sees at every place of a lattice, computed once.

The network is frozen and so are the images, hence feature maps and pooled vectors of all patches
can be kept. A step is then a look-up and the classifier. Values are kept in float16, in a
memory-mapped file that all processes share.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import Dataset
from gf_env.geometry import Lattice
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet, Glimpse


class FeatureBank:
    """The looks of a network at all images of a data set; a `gf_env.envs.episodes.GlimpseSource`.

    An episode's `images` are then int64 places in the data set, see `ImageIndices`. Looks go to the
    nearest patch of the lattice; `Rules.lattice` lets episodes say so.

    Args:
        network: whose looks these are; its classifier does the rest.
        dataset: the images.
        lattice: where patches are.
        looks: (N, 1 + k, F) float16: for each image the glance, then the lattice's k patches; of
            each the feature map, flattened, and the pooled vector. On the network's device.
    """

    def __init__(
        self, network: GlanceFocusNet, dataset: Dataset, lattice: Lattice, looks: torch.Tensor
    ) -> None:
        self.network = network
        self.dataset = dataset
        self.lattice = lattice
        self._looks = looks.flatten(0, 1)
        self._feature_shape = feature_shape(network)
        self._feature_count = math.prod(self._feature_shape)

    @property
    def device(self) -> torch.device:
        """Where the features are."""
        return self._looks.device

    @property
    def num_bytes(self) -> int:
        """Of the features."""
        return self._looks.nbytes

    def glance(self, places: torch.Tensor, rows: torch.Tensor | None = None) -> Glimpse:
        """Look up the glances at images; arguments as of `focus`."""
        places = places if rows is None else places[rows]
        return self.network.first_glimpse(self._look_up(places * self._per_image))

    def focus(
        self,
        places: torch.Tensor,
        locations: torch.Tensor,
        hidden: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> Glimpse:
        """Look up one patch of each image.

        Args:
            places: (m,) int64, images.
            locations: (n, 2) float in [0, 1], (row, col); the nearest patch is taken.
            hidden: (n, H), the state after the step before.
            rows: (n,) int64 in [0, m), which of `places`; None: all, n = m.
        """
        return self.network.next_glimpse(self.encode_patches(places, locations, rows), hidden)

    def encode_patches(
        self, places: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Encoding:
        """Look up one patch of each image; arguments as of `focus`."""
        places = places if rows is None else places[rows]
        return self._look_up(places * self._per_image + 1 + self.lattice.index(locations))

    @property
    def _per_image(self) -> int:
        return 1 + len(self.lattice)

    def _look_up(self, numbers: torch.Tensor) -> Encoding:
        found = self._looks.index_select(0, numbers).float()
        features = found[:, : self._feature_count].view(-1, *self._feature_shape)
        return Encoding(features, found[:, self._feature_count :])


def feature_shape(network: GlanceFocusNet) -> tuple[int, ...]:
    """Return (channels, h, w) of the network's feature maps."""
    config = network.config
    size = config.patch_size
    with torch.no_grad():
        blank = torch.zeros(1, config.channels, size, size, device=network.device)
        shape: tuple[int, ...] = network.local_encoder(blank).features.shape[1:]
    return tuple(shape)


class ImageIndices:
    """A data set whose images are their own numbers: what episodes on a feature bank hold.

    Args:
        dataset: the images that are meant.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.name, self.split = dataset.name, dataset.split
        self.spec, self.labels = dataset.spec, dataset.labels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the indices themselves, (n,) int64."""
        return torch.from_numpy(np.array(indices, np.int64))
