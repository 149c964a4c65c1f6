"""GlanceFocusNet: two encoders and a classifier over their glimpses (paper, section 3.1, figure 2).

Departs from the paper's release in that the classifier's state is passed in and out, never kept in
the module.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import os
from typing import Any, NamedTuple

import torch
from torch import nn

from gf_env import geometry
from gf_env.network import preprocessing
from gf_env.network.classifiers import make_classifier
from gf_env.network.config import NetworkConfig
from gf_env.network.cost import StepCost, count_multiply_adds, read_step_cost
from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.encoders.batching import encode_in_parts
from gf_env.network.encoders.factory import make_encoder
from gf_env.storage.assets import asset_names, find_tensor_file
from gf_env.storage.modules import load_module, save_module
from gf_env.storage.tensors import tensors_digest

FILE_KIND = "gf_env.GlanceFocusNet.v1"


class Glimpse(NamedTuple):
    """What the network knows after one look at n images.

    Attributes:
        features: (n, channels, h, w), the feature map e_t of this look.
        logits: (n, num_classes), the classifier's output p_t before the softmax.
        hidden: (n, H), the classifier's state h_t^C.
        pooled: (n, num_features), the encoder's pooled vector of this look.
    """

    features: torch.Tensor
    logits: torch.Tensor
    hidden: torch.Tensor
    pooled: torch.Tensor


class GlanceFocusNet(nn.Module):
    """The classifier of the paper without its policy.

    Images are (n, C, S, S): float, normalised with the configuration's mean and std, or uint8,
    which are normalised here after resizing or cropping needs them, so that whole images can stay
    small.

    Args:
        config: see `NetworkConfig`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self._step_cost: StepCost | None = None
        num_classes = len(config.classes)
        self.global_encoder = make_encoder(config.encoder, config.channels, num_classes)
        self.local_encoder = make_encoder(config.encoder, config.channels, num_classes)
        self.classifier = make_classifier(config, self.global_encoder.num_features)
        self.normalise = preprocessing.Normalise(config.mean, config.std)
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normalise.mean.device

    @property
    def step_cost(self) -> StepCost:
        """Multiply-adds of each step, counted when first asked for and kept in saved files."""
        if self._step_cost is None:
            self._step_cost = count_step_cost(self)
        return self._step_cost

    def glance(self, images: torch.Tensor, rows: torch.Tensor | None = None) -> Glimpse:
        """Look at the whole image once, small: step 1.

        Args:
            images: (m, C, S, S), normalised float or uint8.
            rows: (n,) int64 in [0, m), which images; None: all, n = m.

        Raises:
            ValueError: images of another shape than the configuration says.
        """
        return self.first_glimpse(self.encode_glance(images, rows))

    def focus(
        self,
        images: torch.Tensor,
        locations: torch.Tensor,
        hidden: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> Glimpse:
        """Look at one patch of each image at full resolution: a step t > 1.

        Args:
            images: (m, C, S, S), normalised float or uint8.
            locations: (n, 2) float in [0, 1], (row, col).
            hidden: (n, H), the state after the step before.
            rows: (n,) int64 in [0, m), which images; None: all, n = m.

        Raises:
            ValueError: images of another shape than the configuration says, or other locations
                than one an image.
        """
        return self.next_glimpse(self.encode_patches(images, locations, rows), hidden)

    def encode_glance(self, images: torch.Tensor, rows: torch.Tensor | None = None) -> Encoding:
        """Encode the small copy of each image; arguments and errors as of `glance`."""

        def inputs(part: slice) -> torch.Tensor:
            # images are gathered part by part, too: whole ones are large
            return self.small(images[part] if rows is None else images.index_select(0, rows[part]))

        count, pixels = len(images if rows is None else rows), self.config.patch_size**2
        return encode_in_parts(self.global_encoder, inputs, count, pixels, images.device.type)

    def encode_patches(
        self, images: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Encoding:
        """Encode one patch of each image; arguments and errors as of `focus`."""
        cut, pixels = self._cut(images, locations, rows), self.config.patch_size**2

        def inputs(part: slice) -> torch.Tensor:
            normalised: torch.Tensor = self.normalise(cut[part])
            return normalised

        return encode_in_parts(self.local_encoder, inputs, len(cut), pixels, cut.device.type)

    def small(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the global encoder sees of images, (n, C, P, P), normalised."""
        self._check_images(images)
        config = self.config
        return self.normalise.small(images, config.patch_size, config.glance_interpolation)

    def patches(
        self, images: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return what the local encoder sees of images, (n, C, P, P), normalised.

        Arguments and errors as of `focus`.
        """
        seen: torch.Tensor = self.normalise(self._cut(images, locations, rows))
        return seen

    def first_glimpse(self, encoding: Encoding) -> Glimpse:
        """Return the glimpse of the glance, from the global encoder's output."""
        hidden = self.classifier.initial_state(encoding.pooled)
        hidden = self.classifier.advance(encoding.pooled, hidden)
        first = self.config.first_step
        if first == "own_head" or (first == "own_head_at_inference" and not self.training):
            logits = self.global_encoder.own_logits(encoding.pooled)
        else:
            logits = self.classifier.logits(hidden)
        return Glimpse(encoding.features, logits, hidden, encoding.pooled)

    def next_glimpse(self, encoding: Encoding, hidden: torch.Tensor) -> Glimpse:
        """Return the glimpse of one more look, from the local encoder's output.

        Args:
            encoding: of n patches.
            hidden: (n, H), the state after the step before.
        """
        logits, hidden = self.classifier(encoding.pooled, hidden)
        return Glimpse(encoding.features, logits, hidden, encoding.pooled)

    def with_encoders(self, global_encoder: Encoder, local_encoder: Encoder) -> GlanceFocusNet:
        """Return a network with other encoders that shares everything else with this one."""
        other = copy.copy(self)
        other._modules = dict(self._modules)  # a shallow copy would share the modules' dictionary
        other.global_encoder, other.local_encoder = global_encoder, local_encoder
        return other

    def with_image_size(self, image_size: int) -> GlanceFocusNet:
        """Return a network for images of another size, in pixels, that shares all weights.

        The encoders see as much as before: the glance at the patch's size, and a patch.
        """
        other = copy.copy(self)
        other.config = dataclasses.replace(self.config, image_size=image_size)
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration, see `save_module`; `load_network` reads them."""
        about = {"network": dataclasses.asdict(self.config), "multiply_adds": self.step_cost.steps}
        save_module(path, FILE_KIND, about, self)

    def digest(self) -> str:
        """Return a SHA-256 that changes with configuration and weights."""
        weights = {name: value.cpu() for name, value in self.state_dict().items()}
        return tensors_digest(json.dumps(dataclasses.asdict(self.config)), weights)

    def _cut(
        self, images: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None
    ) -> torch.Tensor:
        self._check_images(images)
        count = len(images if rows is None else rows)
        if locations.shape != (count, 2):
            raise ValueError(
                f"expected locations of shape ({count}, 2), got {tuple(locations.shape)}"
            )
        config = self.config
        corners = geometry.corners(locations, config.image_size, config.patch_size)
        return preprocessing.crop(images, corners, config.patch_size, rows)

    def _check_images(self, images: torch.Tensor) -> None:
        config = self.config
        expected = (config.channels, config.image_size, config.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"expected images of shape (n, {', '.join(map(str, expected))}), "
                f"got {tuple(images.shape)}"
            )


def count_step_cost(network: GlanceFocusNet) -> StepCost:
    """Return what the network's steps cost for one image; the policy's share is not in it."""
    config = network.config
    size = config.image_size
    image = torch.zeros(1, config.channels, size, size, device=network.device)
    location = torch.zeros(1, 2, device=image.device)
    training = network.training
    network.eval()  # or batch normalisation would learn from the blank image
    try:
        with torch.no_grad():
            hidden = [network.glance(image).hidden]
            for _ in range(config.sequence_length - 2):
                hidden.append(network.focus(image, location, hidden[-1]).hidden)
        looks = [functools.partial(network.focus, image, location, state) for state in hidden]
        glance = count_multiply_adds(lambda: network.glance(image))
        return StepCost((glance, *map(count_multiply_adds, looks)))
    finally:
        network.train(training)


def network_names() -> list[str]:
    """Return the names of the built-in networks."""
    return asset_names("gf_env")


def load_network(
    name_or_path: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> GlanceFocusNet:
    """Return a network in eval mode with frozen weights.

    Args:
        name_or_path: a built-in name (see `network_names`) or a file written by
            `GlanceFocusNet.save`.
        device: where its weights go.

    Raises:
        ValueError: neither a built-in name nor a file.
        TensorFileError: a damaged file, one that holds something else, or a network that cannot
            be.
    """

    def make(about: dict[str, Any]) -> GlanceFocusNet:
        network = GlanceFocusNet(NetworkConfig(**about["network"]))
        # counting takes longer than all else here: the counter loads torch's compiler
        network._step_cost = read_step_cost(about["multiply_adds"], network.config.sequence_length)
        return network

    return load_module(find_tensor_file("gf_env", name_or_path), FILE_KIND, make, device)
