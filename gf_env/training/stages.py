"""Starting weights and stage 1, the supervised part of training (paper, section 3.2).

The local encoder starts from a classifier of whole full-resolution images, the global encoder from
one of glances; stage 1 then trains all parts together on uniformly random patches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from rich.progress import Progress
from torch import nn

from gf_env.datasets.base import Dataset
from gf_env.image_classifier import ImageClassifier
from gf_env.network import GlanceFocusNet
from gf_env.training.optimise import OptimiserConfig, optimise


class Batches:
    """Images and labels of a data set by index, on a device.

    Args:
        dataset: where they come from.
        device: where they go.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        self.labels = torch.from_numpy(dataset.labels).to(device)

    def __call__(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images (n, C, S, S) uint8 and labels (n,) int64."""
        images = self.dataset.images(indices.numpy()).to(self.device)
        return images, self.labels[indices.to(self.device)]


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the bfloat16 autocast context that training runs in."""
    return torch.autocast(device.type, torch.bfloat16)


def train_classifier(
    classifier: ImageClassifier,
    dataset: Dataset,
    config: OptimiserConfig,
    *,
    device: torch.device,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train a plain classifier of whole images, in place.

    Args:
        classifier: on `device`; left in training mode.
        dataset: what it learns from.
        config: schedule.
        device: where it runs.
        generator: shuffles the images.
        progress: shows a bar.
    """
    batches = Batches(dataset, device)

    def loss(indices: torch.Tensor) -> torch.Tensor:
        images, labels = batches(indices)
        with mixed_precision(device):
            logits = classifier(images)
        return F.cross_entropy(logits.float(), labels)

    classifier.train()
    optimise(
        [{"params": list(classifier.parameters()), "lr": config.learning_rate}],
        loss,
        len(dataset),
        config,
        generator=generator,
        progress=progress,
        description=f"starting weights: whole images at {classifier.config.input_size} px",
    )


def train_stage1(
    network: GlanceFocusNet,
    dataset: Dataset,
    config: OptimiserConfig,
    *,
    auxiliary_weight: float = 1.0,
    device: torch.device,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Train all parts of a network on random patches, in place.

    The loss is (the sum of the classifier's cross-entropies + auxiliary_weight * the sum of those
    of the encoders' own heads) / T.

    Args:
        network: on `device`; left in training mode.
        dataset: what it learns from.
        config: schedule.
        auxiliary_weight: the paper's lambda.
        device: where it runs.
        generator: shuffles the images and draws the locations.
        progress: shows a bar.
    """
    batches = Batches(dataset, device)
    steps = network.config.sequence_length

    def loss(indices: torch.Tensor) -> torch.Tensor:
        images, labels = batches(indices)
        total = torch.zeros((), device=device)
        hidden = torch.zeros(())  # no state before the glance
        for step in range(steps):
            locations = torch.rand(len(images), 2, generator=generator).to(device)
            with mixed_precision(device):
                if step == 0:
                    glimpse, encoder = network.glance(images), network.global_encoder
                else:
                    glimpse = network.focus(images, locations, hidden)
                    encoder = network.local_encoder
                own_logits = encoder.own_logits(glimpse.pooled)
            hidden = glimpse.hidden
            total = total + F.cross_entropy(glimpse.logits.float(), labels)
            total = total + auxiliary_weight * F.cross_entropy(own_logits.float(), labels)
        return total / steps

    network.train()
    encoders: list[nn.Module] = [network.global_encoder, network.local_encoder]
    optimise(
        [
            {
                "params": [p for encoder in encoders for p in encoder.parameters()],
                "lr": config.learning_rate,
            },
            {
                "params": list(network.classifier.parameters()),
                "lr": config.classifier_learning_rate,
            },
        ],
        loss,
        len(dataset),
        config,
        generator=generator,
        progress=progress,
        description="stage 1: all parts on random patches",
    )
