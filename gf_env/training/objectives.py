"""The losses of the supervised phases (paper, section 3.2 and appendix).

Starting weights: a plain classifier's cross-entropy (or what `gf_env.training.contents` has).
Stages 1 and 3: that of the network after every look, at a sampler's patches in stage 1 and at those
of the frozen policy in stage 3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gf_env.datasets.batches import Batch
from gf_env.network.glance_focus_net import GlanceFocusNet, Glimpse
from gf_env.network.image_classifier import ImageClassifier
from gf_env.training.samplers import LocationSampler, Looked


class Objective(nn.Module):
    """A loss of images with labels.

    Attributes:
        module: what is trained, validated and saved.
    """

    module: ImageClassifier | GlanceFocusNet

    def encoders_and_others(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the parts of the module that learn at the encoders' rate, and the others."""
        raise NotImplementedError

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss of a batch.

        Args:
            batch: uint8 or normalised float images.
            generator: on the CPU; of all that is drawn.
        """
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

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss; nothing is drawn."""
        return F.cross_entropy(self.module(batch.images).float(), batch.labels)


class LooksObjective(Objective):
    """(Cross-entropies of the network + auxiliary_weight * those of the encoders' own heads) / T.

    Args:
        network: what is trained.
        sampler: where it looks; frozen.
        auxiliary_weight: the paper's lambda.
        train_global_encoder: if not, it stays in eval mode with its weights as they are.
        train_local_encoder: likewise.
    """

    def __init__(
        self,
        network: GlanceFocusNet,
        sampler: LocationSampler,
        auxiliary_weight: float,
        train_global_encoder: bool,
        train_local_encoder: bool = True,
    ) -> None:
        super().__init__()
        self.module: GlanceFocusNet = network
        self.auxiliary_weight = auxiliary_weight
        self._trained = (
            (network.global_encoder, train_global_encoder),
            (network.local_encoder, train_local_encoder),
        )
        # in a tuple: a sampler that is a module must not be registered as a part of this one
        self._sampler = (sampler,)
        for encoder, trained in self._trained:
            encoder.requires_grad_(trained)

    def encoders_and_others(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return both encoders, and the classifier."""
        network = self.module
        return [network.global_encoder, network.local_encoder], [network.classifier]

    def train(self, mode: bool = True) -> LooksObjective:
        """Set the mode of everything that is trained."""
        super().train(mode)
        for encoder, trained in self._trained:
            encoder.train(mode and trained)
        return self

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss over all looks; the generator draws the locations."""
        (sampler,) = self._sampler
        network, images, labels = self.module, batch.images, batch.labels
        steps = network.config.sequence_length
        glimpse = network.glance(images)
        own_logits = network.global_encoder.own_logits(glimpse.pooled)
        memory, looked = sampler.start(batch), after_the_glance(glimpse, labels, steps)
        total = self._loss(glimpse.logits, own_logits, labels)
        for _ in range(steps - 1):
            # a policy sees and chooses in float32 here as everywhere
            with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
                locations, memory = sampler.sample(looked, memory, generator)
            glimpse = network.focus(images, locations, glimpse.hidden)
            looked = _after_a_look(looked, glimpse, locations)
            own_logits = network.local_encoder.own_logits(glimpse.pooled)
            total = total + self._loss(glimpse.logits, own_logits, labels)
        return total / steps

    def _loss(
        self, logits: torch.Tensor, own_logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        own = F.cross_entropy(own_logits.float(), labels)
        return F.cross_entropy(logits.float(), labels) + self.auxiliary_weight * own


def after_the_glance(glimpse: Glimpse, labels: torch.Tensor, steps: int) -> Looked:
    """Return what a sampler may see after the glance of episodes with so many looks."""
    features = glimpse.features.detach().float()
    return Looked(
        step=torch.ones_like(labels),
        features=features,
        glance_features=features,
        hidden=glimpse.hidden.detach().float(),
        logits=glimpse.logits.detach().float(),
        locations=features.new_full((len(labels), steps - 1, 2), 0.5),
    )


def _after_a_look(looked: Looked, glimpse: Glimpse, locations: torch.Tensor) -> Looked:
    """Return what a sampler may see after one look more at locations (n, 2)."""
    slot = (looked.step[:, None, None] - 1).expand(-1, 1, 2)
    return Looked(
        step=looked.step + 1,
        features=glimpse.features.detach().float(),
        glance_features=looked.glance_features,
        hidden=glimpse.hidden.detach().float(),
        logits=glimpse.logits.detach().float(),
        locations=looked.locations.scatter(1, slot, locations[:, None].float()),
    )
