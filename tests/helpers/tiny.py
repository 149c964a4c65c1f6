"""Small networks and data sets that several test modules use."""

import numpy as np
import torch

from gf_env.datasets import ImageSpec
from gf_env.network.classifiers import Classifier
from gf_env.network.config import NetworkConfig
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet, Glimpse


def tiny_config(**changes) -> NetworkConfig:
    """A network for 16 x 16 grey images of three classes."""
    values = {
        "encoder": "small-cnn",
        "image_size": 16,
        "patch_size": 8,
        "channels": 1,
        "classes": ("a", "b", "c"),
        "mean": (0.5,),
        "std": (0.25,),
        "hidden_size": 6,
    }
    return NetworkConfig(**{**values, **changes})


def random_network(seed=0, **changes) -> GlanceFocusNet:
    """A network of `tiny_config` with random weights, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GlanceFocusNet(tiny_config(**changes)).eval().requires_grad_(False)


class ArrayDataset:
    """A `Dataset` over arrays in memory."""

    def __init__(self, images, labels, spec, name="arrays", split="train"):
        self.name, self.split, self.spec = name, split, spec
        self.labels = np.asarray(labels, np.int64)
        self._images = torch.as_tensor(images, dtype=torch.uint8)

    def __len__(self):
        return len(self.labels)

    def images(self, indices):
        return self._images[torch.as_tensor(indices)]


def random_dataset(count=20, size=16, channels=1, classes=("a", "b", "c"), seed=0) -> ArrayDataset:
    """Noise images with labels in turn; a longer one begins with the same images."""
    rng = np.random.default_rng(seed)
    spec = ImageSpec(size, channels, classes, (0.5,) * channels, (0.25,) * channels)
    images = rng.integers(0, 256, (count, channels, size, size), np.uint8)
    return ArrayDataset(images, np.arange(count) % len(classes), spec)


class TargetNetwork(GlanceFocusNet):
    """A hand-made network for a toy task: one bright pixel, whose place the glance shows.

    It is sure of class 1 once a patch covers the bright pixel, and undecided before.
    """

    def glance(self, images, rows=None):
        images = images if rows is None else images[rows]
        return self._see(images, torch.zeros(len(images), dtype=torch.bool))

    def focus(self, images, locations, hidden, rows=None):
        images = images if rows is None else images[rows]
        config = self.config
        corner = (locations * (config.image_size - config.patch_size)).floor()
        target = images.flatten(1).argmax(1)
        place = torch.stack([target // config.image_size, target % config.image_size], dim=1)
        inside = ((place >= corner) & (place < corner + config.patch_size)).all(1)
        return self._see(images, inside | (hidden[:, 0] > 0))

    def _see(self, images, found):
        features = torch.nn.functional.adaptive_max_pool2d(images.float() / 255, 8)
        logits = torch.stack([torch.zeros(len(found)), found.float() * 6], dim=1)
        hidden = found.float()[:, None].expand(-1, self.config.hidden_size).clone()
        return Glimpse(features, logits, hidden, hidden)


class TwoPiecesNetwork(GlanceFocusNet):
    """A hand-made network: sure of class 1 once pixels of 100 and of 200 were in patches.

    One of them alone tells it nothing, and neither does the glance.
    """

    def __init__(self, config):
        super().__init__(config)
        self.classifier = TwoPiecesClassifier()

    def encode_glance(self, images, rows=None):
        count = len(images if rows is None else rows)
        return Encoding(torch.zeros(count, 1, 1, 1), torch.zeros(count, 2))

    def encode_patches(self, images, locations, rows=None):
        pixels = self._cut(images, locations, rows).flatten(1)
        pooled = torch.stack([(pixels == piece).any(1) for piece in (100, 200)], dim=1).float()
        return Encoding(pooled[:, :, None, None], pooled)


class TwoPiecesClassifier(Classifier):
    """Its state is which of two pieces were found, (n, 2) of 0 and 1."""

    def initial_state(self, pooled):
        return torch.zeros_like(pooled)

    def advance(self, pooled, hidden):
        return torch.maximum(pooled, hidden)

    def logits(self, hidden):
        both = hidden.prod(1)
        return torch.stack([torch.zeros_like(both), 6 * both], dim=1)
