"""The losses of the supervised phases (paper, section 3.2 and appendix).

Starting weights: a plain classifier's cross-entropy. Stages 1 and 3: that of the network after
every look, at random patches in stage 1 and at those of the frozen policy in stage 3.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn

from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier


class LocationSampler(Protocol):
    """Chooses the locations of the looks while a network is trained."""

    def initial_state(self, features: torch.Tensor) -> torch.Tensor:
        """Return the sampler's state before the glance, for feature maps (n, channels, h, w)."""
        ...

    def sample(
        self, features: torch.Tensor, hidden: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return locations (n, 2) in [0, 1], drawn with the generator, and the state after it."""
        ...


class UniformSampler:
    """Random patches, as in stage 1; it ignores the features and its state is empty."""

    def initial_state(self, features: torch.Tensor) -> torch.Tensor:
        """Return an empty state, (n, 0)."""
        return features.new_zeros(len(features), 0)

    def sample(
        self, features: torch.Tensor, hidden: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return uniform locations (n, 2) in [0, 1] and the empty state."""
        locations = torch.rand(len(features), 2, generator=generator)
        return locations.to(features.device), hidden


class Objective(nn.Module):
    """A loss of images with labels.

    Attributes:
        module: what is trained, validated and saved.
    """

    module: ImageClassifier | GlanceFocusNet

    def encoders_and_others(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the parts of the module that learn at the encoders' rate, and the others."""
        raise NotImplementedError


class ClassifierObjective(Objective):
    """The cross-entropy of a plain classifier.

    Args:
        classifier: what is trained.
    """

    def __init__(self, classifier: ImageClassifier) -> None:
        super().__init__()
        self.module: ImageClassifier = classifier

    def encoders_and_others(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the whole classifier, and nothing."""
        return [self.module], []

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the mean loss of images (n, C, S, S) with labels (n,); nothing is drawn."""
        return F.cross_entropy(self.module(images).float(), labels)


class LooksObjective(Objective):
    """(Cross-entropies of the network + auxiliary_weight * those of the encoders' own heads) / T.

    Args:
        network: what is trained.
        sampler: where it looks; frozen.
        auxiliary_weight: the paper's lambda.
        train_global_encoder: if not, it stays in eval mode with its weights as they are.
    """

    def __init__(
        self,
        network: GlanceFocusNet,
        sampler: LocationSampler,
        auxiliary_weight: float,
        train_global_encoder: bool,
    ) -> None:
        super().__init__()
        self.module: GlanceFocusNet = network
        self.auxiliary_weight = auxiliary_weight
        self.train_global_encoder = train_global_encoder
        # in a tuple: a sampler that is a module must not be registered as a part of this one
        self._sampler = (sampler,)
        network.global_encoder.requires_grad_(train_global_encoder)

    def encoders_and_others(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return both encoders, and the classifier."""
        network = self.module
        return [network.global_encoder, network.local_encoder], [network.classifier]

    def train(self, mode: bool = True) -> LooksObjective:
        """Set the mode of everything that is trained."""
        super().train(mode)
        self.module.global_encoder.train(mode and self.train_global_encoder)
        return self

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Return the mean loss of images (n, C, S, S) with labels (n,).

        Args:
            images: uint8 or normalised float.
            labels: int64.
            generator: on the CPU; draws the locations.
        """
        (sampler,) = self._sampler
        network = self.module
        steps = network.config.sequence_length
        glimpse = network.glance(images)
        own_logits = network.global_encoder.own_logits(glimpse.pooled)
        memory = sampler.initial_state(glimpse.features.detach().float())
        total = self._loss(glimpse.logits, own_logits, labels)
        for _ in range(steps - 1):
            with torch.no_grad():
                features = glimpse.features.detach().float()
                locations, memory = sampler.sample(features, memory, generator)
            glimpse = network.focus(images, locations, glimpse.hidden)
            own_logits = network.local_encoder.own_logits(glimpse.pooled)
            total = total + self._loss(glimpse.logits, own_logits, labels)
        return total / steps

    def _loss(
        self, logits: torch.Tensor, own_logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        own = F.cross_entropy(own_logits.float(), labels)
        return F.cross_entropy(logits.float(), labels) + self.auxiliary_weight * own
