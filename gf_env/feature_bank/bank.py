"""Feature banks: what a frozen network sees at every place of a lattice, computed once.

The network is frozen and so are the images, hence feature maps and pooled vectors of all patches
can be kept. A step is then a look-up and the classifier. Values are kept in float16, in a
memory-mapped file that all processes share.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from gf_env.datasets.base import Dataset
from gf_env.datasets.batches import to_device
from gf_env.datasets.image_source import ImageSource, Indices
from gf_env.geometry import Lattice
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet, Glimpse


class FeatureBank:
    """The looks of a network at all images of a data set; a `gf_env.envs.episodes.GlimpseSource`.

    An episode's `images` are then int64 numbers in the data set, see `ImageIndices`. Looks go to
    the nearest patch of the lattice; `Rules.lattice` lets episodes say so.

    Args:
        network: whose looks these are; its classifier does the rest.
        dataset: the images.
        lattice: where patches are.
        looks: (N, 1 + k, F) float16: for each image the glance, then the lattice's k patches; of
            each the feature map, flattened, and the pooled vector. On the network's device.
        path: of the file that they are from, if they are.
    """

    def __init__(
        self,
        network: GlanceFocusNet,
        dataset: Dataset,
        lattice: Lattice,
        looks: torch.Tensor,
        path: Path | None = None,
    ) -> None:
        self.network = network
        self.dataset = dataset
        self.lattice = lattice
        self.path = path
        self._looks = looks.flatten(0, 1)
        self._feature_shape = feature_shape(network)
        self._feature_count = math.prod(self._feature_shape)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FeatureBank":
        """Return the bank itself, as nothing in it changes."""
        return self

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
        return self.network.first_glimpse(self._look_up(self._first_look(places, rows)))

    def focus(
        self,
        places: torch.Tensor,
        locations: torch.Tensor,
        hidden: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> Glimpse:
        """Look up the nearest patch of each image.

        Arguments as of `GlanceFocusNet.focus`, but the images' numbers, (m,) int64, as `places`.
        """
        return self.network.next_glimpse(self.encode_patches(places, locations, rows), hidden)

    def encode_patches(
        self, places: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Encoding:
        """Look up one patch of each image; arguments as of `focus`."""
        return self._look_up(self._first_look(places, rows) + 1 + self.lattice.index(locations))

    def _first_look(self, places: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        """Return the numbers of the images' glances, after which their patches come."""
        return (places if rows is None else places[rows]) * (1 + len(self.lattice))

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


class ImageIndices(ImageSource):
    """Images as their own numbers, (n,) int64, which is all that a bank needs."""

    @override
    def select(self, indices: Indices) -> tuple[torch.Tensor, None]:
        return to_device(torch.from_numpy(np.array(indices, np.int64)), self._device), None

    @override
    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        return self._dataset.images(images.cpu().numpy())
