"""A rule that looks where the glance saw most of what it takes the image for.

Class activation mapping (Zhou et al., "Learning Deep Features for Discriminative Localization",
CVPR 2016) on the glance's feature map. No label is needed and nothing is learned.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from agents.policies.base import batch_size, recall_taken
from gf_env.network.config import NetworkConfig
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet

Floats = NDArray[np.float32]


class SaliencyPolicy:
    """A patch around the peak of the glance's class activation map.

    The class is the one that the global encoder's own head predicts from the glance, w the head's
    weights for it, and the map w . e at each cell e of the feature map. The cell's centre in the
    image becomes the centre of the patch, moved into the image where it would stick out.

    Args:
        network: whose glances it sees; in eval mode, on any device.
        repeat: stay at the peak. Otherwise cells whose centre an earlier patch of the episode
            covers are left out, until none is left.

    Raises:
        ValueError: the network is in training mode, or its global encoder's own head is not a
            linear layer on the mean or the maximum of the feature map, so that its weights say
            nothing about a cell.

    Attributes:
        observe: extra observation keys.
        multiply_adds: of one choice.
    """

    observe = ("glance",)

    def __init__(self, network: GlanceFocusNet, repeat: bool = False) -> None:
        if network.training:
            raise ValueError("the network is in training mode; call network.eval() first")
        encoding = _encode_noise(network)
        self._pooling = _pooling(encoding)
        self._weight, self._bias = _head(network.global_encoder.own_head)
        shape = encoding.features.shape[2:]
        corners = _corners(shape, network.config)
        self._actions = _actions(corners, network.config)
        self._covers = _covers(corners, shape, network.config)
        if repeat:
            self._covers[:] = False
        self.multiply_adds = self._weight.size + self._weight.shape[1] * len(corners)

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: NDArray[np.bool_] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return where the peaks are, (n, 2) float32, and the cells covered, (n, h * w) bool."""
        count, cells = batch_size(observation), len(self._actions)
        covered = recall_taken(state, episode_start, count, cells)
        activation = self.activation(np.asarray(observation["glance"]))
        peak = np.where(covered, -np.inf, activation).argmax(axis=1)
        return self._actions[peak], covered | self._covers[peak]

    def activation(self, glance: NDArray[Any]) -> Floats:
        """Return class activation maps, (n, h * w) float32, of feature maps (n, channels, h, w)."""
        features = glance.reshape(*glance.shape[:2], -1)
        pooled = features.max(axis=2) if self._pooling == "max" else features.mean(axis=2)
        prediction = (pooled @ self._weight.T + self._bias).argmax(axis=1)
        # (n, 1, channels) @ (n, channels, h * w)
        maps: Floats = (self._weight[prediction][:, None] @ features)[:, 0]
        return maps


@torch.no_grad()
def _encode_noise(network: GlanceFocusNet) -> Encoding:
    """Return what the global encoder makes of two images that show nothing."""
    config, generator = network.config, torch.Generator().manual_seed(0)
    noise = torch.randn(
        2, config.channels, config.patch_size, config.patch_size, generator=generator
    )
    encoding: Encoding = network.global_encoder(noise.to(network.device))
    return encoding


def _pooling(encoding: Encoding) -> Literal["max", "mean"]:
    """Return how feature maps become pooled vectors."""
    features, pooled = encoding
    if pooled.shape == features.shape[:2]:
        if torch.allclose(pooled, features.mean(dim=(2, 3)), rtol=1e-3, atol=1e-5):
            return "mean"
        if torch.allclose(pooled, features.amax(dim=(2, 3)), rtol=1e-3, atol=1e-5):
            return "max"
    raise ValueError(
        "class activation maps need an encoder whose pooled vector is the mean or the maximum of "
        f"its feature map; this one makes {pooled.shape[1]} features of {features.shape[1]} "
        "channels in another way (as MobileNetV3 does, which has a layer in between)"
    )


def _head(head: nn.Module) -> tuple[Floats, Floats]:
    """Return weights (classes, channels) and bias (classes,) of an encoder's own head."""
    if not isinstance(head, nn.Linear):
        raise ValueError(
            "class activation maps need an encoder whose own head is a linear layer, "
            f"got {type(head).__name__}"
        )
    weight: Floats = head.weight.detach().float().cpu().numpy()
    if head.bias is None:
        return weight, np.zeros(len(weight), np.float32)
    return weight, head.bias.detach().float().cpu().numpy()


def _centres(shape: torch.Size, config: NetworkConfig) -> NDArray[np.float64]:
    """Return the centres of a map's cells in the image, row-major, (h * w, 2) pixels."""
    rows, cols = ((np.arange(cells) + 0.5) * config.image_size / cells for cells in shape)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)


def _corners(shape: torch.Size, config: NetworkConfig) -> NDArray[np.float64]:
    """Return the top-left pixels of patches around the cells, (h * w, 2) in [0, S - P]."""
    corners = np.floor(_centres(shape, config) - config.patch_size / 2)
    return corners.clip(0, config.image_size - config.patch_size)


def _actions(corners: NDArray[np.float64], config: NetworkConfig) -> Floats:
    """Return the actions of patches, (k, 2) float32 in [-1, 1]."""
    travel = max(config.image_size - config.patch_size, 1)
    # to the middle of a pixel, so that no rounding error leads to the one before
    return (2 * (corners + 0.5) / travel - 1).clip(-1, 1).astype(np.float32)


def _covers(
    corners: NDArray[np.float64], shape: torch.Size, config: NetworkConfig
) -> NDArray[np.bool_]:
    """Return whether the patch around one cell covers the centre of another, (h * w, h * w)."""
    offsets = _centres(shape, config)[None] - corners[:, None]  # (patches, cells, 2)
    inside = (offsets >= 0) & (offsets < config.patch_size)
    return inside[..., 0] & inside[..., 1]
