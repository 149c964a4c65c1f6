"""GlanceFocusNet: two encoders and a recurrent classifier (paper, section 3.1, figure 2).

Departs from the paper's release in that the classifier's state is passed in and out, never kept in
the module.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from gf_env import patches
from gf_env.classifiers import RecurrentClassifier
from gf_env.cost import StepCost, count_step_cost
from gf_env.datasets.base import ImageSpec
from gf_env.encoders import Encoding, make_encoder
from gf_env.tensor_files import TensorFileError, load_into, load_tensors, save_tensors

FILE_KIND = "gf_env.GlanceFocusNet.v1"
INTERPOLATIONS = ("bilinear", "bicubic", "area")


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that is needed to build a network anew.

    Attributes:
        encoder: name of both backbones, see `gf_env.encoders.make_encoder`.
        image_size: S, pixels.
        patch_size: P, pixels; the glance has the same size.
        channels: of the images, 1 or 3.
        classes: class names, in label order.
        mean: per-channel mean that images are normalised with, on the scale [0, 1].
        std: per-channel standard deviation, likewise.
        hidden_size: H, of the classifier's state.
        sequence_length: T, glance included.
        glance_interpolation: `bilinear` or `bicubic` as in the paper, or `area`, the mean of what
            each pixel covers.
    """

    encoder: str
    image_size: int
    patch_size: int
    channels: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hidden_size: int = 128
    sequence_length: int = 5
    glance_interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check every value that a later step relies on."""
        # JSON has lists only
        for name in ("classes", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _ = self.image_spec
        if not 1 <= self.patch_size <= self.image_size:
            raise ValueError(
                f"patch_size {self.patch_size} does not fit images of {self.image_size} x "
                f"{self.image_size} pixels; choose one from 1 to {self.image_size}"
            )
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be positive, got {self.hidden_size}")
        if self.sequence_length < 2:
            raise ValueError(
                f"sequence_length counts the glance and needs one focus step or more, "
                f"so 2 at least, got {self.sequence_length}"
            )
        if self.glance_interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"unknown glance_interpolation {self.glance_interpolation!r}; "
                f"choose one of {list(INTERPOLATIONS)}"
            )

    @property
    def image_spec(self) -> ImageSpec:
        """What images must be like."""
        return ImageSpec(self.image_size, self.channels, self.classes, self.mean, self.std)


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
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self._step_cost: StepCost | None = None
        num_classes = len(config.classes)
        self.global_encoder = make_encoder(config.encoder, config.channels, num_classes)
        self.local_encoder = make_encoder(config.encoder, config.channels, num_classes)
        self.classifier = RecurrentClassifier(
            self.global_encoder.num_features, config.hidden_size, num_classes
        )
        self.normalise = patches.Normalise(config.mean, config.std)
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

    def glance(self, images: torch.Tensor) -> Glimpse:
        """Look at the whole image once, small: step 1.

        Args:
            images: (n, C, S, S), normalised float or uint8.

        Raises:
            ValueError: images of another shape than the configuration says.
        """
        self._check_images(images)
        config = self.config
        small = self.normalise.small(images, config.patch_size, config.glance_interpolation)
        encoding = self.global_encoder(small)
        return self._classify(encoding, self.classifier.initial_state(encoding.pooled))

    def focus(self, images: torch.Tensor, locations: torch.Tensor, hidden: torch.Tensor) -> Glimpse:
        """Look at one patch of each image at full resolution: a step t > 1.

        Args:
            images: (n, C, S, S), normalised float or uint8.
            locations: (n, 2) float in [0, 1], (row, col).
            hidden: (n, H), the state after the step before.

        Raises:
            ValueError: images of another shape than the configuration says, or other locations
                than one an image.
        """
        return self._classify(self.encode_patches(images, locations), hidden)

    def encode_patches(self, images: torch.Tensor, locations: torch.Tensor) -> Encoding:
        """Encode one patch of each image; arguments and errors as of `focus`."""
        self._check_images(images)
        if locations.shape != (len(images), 2):
            raise ValueError(
                f"expected locations of shape ({len(images)}, 2), got {tuple(locations.shape)}"
            )
        config = self.config
        corners = patches.corners(locations, config.image_size, config.patch_size)
        cut = patches.crop(images, corners, config.patch_size)
        encoding: Encoding = self.local_encoder(self.normalise(cut))
        return encoding

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration as safetensors; `load_network` reads them.

        Raises:
            OSError: no room or no permission; a file that was at `path` stays.
        """
        about = {"network": dataclasses.asdict(self.config), "multiply_adds": self.step_cost}
        save_tensors(path, FILE_KIND, about, self.state_dict())

    def _classify(self, encoding: Encoding, hidden: torch.Tensor) -> Glimpse:
        logits, hidden = self.classifier(encoding.pooled, hidden)
        return Glimpse(encoding.features, logits, hidden, encoding.pooled)

    def _check_images(self, images: torch.Tensor) -> None:
        config = self.config
        expected = (config.channels, config.image_size, config.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"expected images of shape (n, {', '.join(map(str, expected))}), "
                f"got {tuple(images.shape)}"
            )


def network_names() -> list[str]:
    """Return the names of the built-in networks."""
    assets = resources.files("gf_env") / "assets"
    files = (item.name for item in assets.iterdir())
    return sorted(name.removesuffix(".safetensors") for name in files if "safetensors" in name)


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
        TensorFileError: a damaged file, or one that holds something else.
    """
    path = _network_path(name_or_path)
    about, tensors = load_tensors(path, FILE_KIND)
    try:
        network = GlanceFocusNet(NetworkConfig(**about["network"]))
        # counting takes longer than all else here: the counter loads torch's compiler
        network._step_cost = StepCost(*about["multiply_adds"])
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError(f"{path} holds a configuration that cannot be: {error}") from error
    load_into(network, tensors, path)
    return network.to(device).eval().requires_grad_(False)


def _network_path(name_or_path: str | os.PathLike[str]) -> Path:
    names = network_names()
    if name_or_path in names:
        return Path(str(resources.files("gf_env") / "assets" / f"{name_or_path}.safetensors"))
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"unknown network {str(name_or_path)!r}: neither a file nor a built-in name; "
            f"built-in: {names}"
        )
    return path
