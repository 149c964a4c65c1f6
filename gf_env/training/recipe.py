"""From nothing to a frozen network: both starting encoders, then stage 1 (paper, section 3.2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from gf_env.datasets import Dataset
from gf_env.image_classifier import ImageClassifier, ImageClassifierConfig
from gf_env.network import GlanceFocusNet
from gf_env.network_config import NetworkConfig
from gf_env.training.optimise import OptimiserConfig
from gf_env.training.stages import train_classifier, train_stage1

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """How a network is made; the defaults make the built-in one.

    Attributes:
        encoder: name of the backbone.
        patch_size: P, pixels.
        hidden_size: H, of the classifier.
        sequence_length: T, glance included.
        glance_interpolation: `bilinear`, `bicubic` or `area`.
        full_resolution: schedule of the classifier that the local encoder starts from.
        low_resolution: schedule of the classifier that the global encoder starts from.
        stage1: schedule of stage 1.
        auxiliary_weight: lambda, the weight of the encoders' own losses in stage 1.
        seed: of weights, order and locations.
    """

    encoder: str = "small-cnn"
    patch_size: int = 24
    hidden_size: int = 128
    sequence_length: int = 5
    glance_interpolation: str = "area"
    full_resolution: OptimiserConfig = OptimiserConfig(
        epochs=2, learning_rate=0.05, weight_decay=1e-3, batch_size=64
    )
    low_resolution: OptimiserConfig = OptimiserConfig(
        epochs=5, learning_rate=0.05, weight_decay=5e-4, batch_size=64
    )
    stage1: OptimiserConfig = OptimiserConfig(
        epochs=3,
        learning_rate=0.02,
        classifier_learning_rate=0.05,
        weight_decay=5e-4,
        batch_size=64,
    )
    auxiliary_weight: float = 1.0
    seed: int = 0


class TrainedNetwork(NamedTuple):
    """What a recipe gives.

    Attributes:
        network: after stage 1, in eval mode, frozen.
        full_resolution: the plain classifier of whole images that the local encoder started from,
            likewise.
    """

    network: GlanceFocusNet
    full_resolution: ImageClassifier


def training_progress() -> Progress:
    """Return the progress display of the training loops, to be entered with `with`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def train_network(
    recipe: Recipe, dataset: Dataset, *, device: torch.device, progress: Progress
) -> TrainedNetwork:
    """Train a network from nothing.

    Args:
        recipe: what to make and how.
        dataset: what it learns from; policies should learn from other images, on which
            the network is as unsure as on new ones.
        device: where training runs; the results are on it.
        progress: shows a bar for each part.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng():  # weights are drawn from the global generator
        torch.manual_seed(recipe.seed)
        network = GlanceFocusNet(_network_config(recipe, dataset)).to(device)
        full, low = (
            ImageClassifier(
                ImageClassifierConfig(
                    recipe.encoder, size, recipe.glance_interpolation, dataset.spec
                )
            ).to(device)
            for size in (dataset.spec.image_size, recipe.patch_size)
        )
    common: dict[str, Any] = {"device": device, "generator": generator, "progress": progress}
    train_classifier(full, dataset, recipe.full_resolution, **common)
    # as in the paper, the weights for glances are those for whole images, tuned at their size
    low.encoder.load_state_dict(full.encoder.state_dict())
    train_classifier(low, dataset, recipe.low_resolution, **common)
    network.local_encoder.load_state_dict(full.encoder.state_dict())
    network.global_encoder.load_state_dict(low.encoder.state_dict())
    train_stage1(
        network, dataset, recipe.stage1, auxiliary_weight=recipe.auxiliary_weight, **common
    )
    return TrainedNetwork(_frozen(network), _frozen(full))


def _frozen(module: M) -> M:
    return module.eval().requires_grad_(False)


def _network_config(recipe: Recipe, dataset: Dataset) -> NetworkConfig:
    return NetworkConfig(
        encoder=recipe.encoder,
        patch_size=recipe.patch_size,
        hidden_size=recipe.hidden_size,
        sequence_length=recipe.sequence_length,
        glance_interpolation=recipe.glance_interpolation,
        **dataclasses.asdict(dataset.spec),
    )
