"""A supervised phase: an objective, a data set and SGD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gf_env.datasets.base import Dataset
from gf_env.datasets.batches import Loading, read_batches
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier
from gf_env.training import processes
from gf_env.training.epochs import epoch_indices, epoch_seed, steps_in_epoch
from gf_env.training.loop import Metrics
from gf_env.training.schedule import OptimiserConfig, set_rate

PRECISIONS = ("bfloat16", "float32")


def mixed_precision(device: torch.device, precision: str) -> torch.autocast:
    """Return the autocast context that training runs in.

    Raises:
        ValueError: unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {list(PRECISIONS)}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


class SupervisedTrainee:
    """A `gf_env.training.loop.Trainee` with labels.

    Args:
        phase: its name, a part of the seed.
        module: what is trained, validated and saved.
        objective: of the module; see `gf_env.training.objectives`.
        optimiser: of the module's weights.
        dataset: what it learns from.
        config: schedule.
        validate: returns figures of the module, which is in eval mode.
        loading: device and workers.
        augment: learn from varied copies of the images, where the data set has them.
        precision: `bfloat16` or `float32`.
        seed: of everything drawn.
    """

    def __init__(
        self,
        phase: str,
        module: ImageClassifier | GlanceFocusNet,
        objective: nn.Module,
        optimiser: torch.optim.Optimizer,
        dataset: Dataset,
        config: OptimiserConfig,
        validate: Callable[[], Metrics],
        *,
        loading: Loading,
        augment: bool,
        precision: str,
        seed: int,
    ) -> None:
        self.epochs = config.epochs
        self.steps_per_epoch = steps_in_epoch(len(dataset), config.batch_size)
        self.samples_per_step = min(config.batch_size, len(dataset))
        self._phase, self._module, self._dataset = phase, module, dataset
        self._objective = processes.shared(objective) if config.epochs else objective
        self._optimiser, self._config, self._validate = optimiser, config, validate
        self._loading, self._augment = loading, augment
        self._precision, self._seed = precision, seed

    def train_epoch(
        self, number: int, on_step: Callable[[Mapping[str, torch.Tensor]], None]
    ) -> None:
        """Train one epoch, counted from 0."""
        seed = epoch_seed(self._seed, self._phase, number)
        own_seed = seed + processes.rank()  # processes look elsewhere and drop other features
        generator = torch.Generator().manual_seed(own_seed)
        torch.manual_seed(own_seed)
        device = self._loading.device
        self._objective.train()
        batches = read_batches(
            self._dataset,
            epoch_indices(len(self._dataset), self._config.batch_size, seed),
            self._loading,
            augmentation_seed=seed if self._augment else None,
        )
        for step, (images, labels) in enumerate(batches):
            share = set_rate(
                self._optimiser,
                self._config,
                number * self.steps_per_epoch + step,
                self.steps_per_epoch,
            )
            self._optimiser.zero_grad()
            with mixed_precision(device, self._precision):
                loss = self._objective(images, labels, generator)
            loss.backward()
            self._optimiser.step()
            rate = torch.tensor(share * self._config.learning_rate)
            on_step({"losses/loss": loss.detach(), "charts/learning_rate": rate})

    def validate(self) -> Metrics:
        """Return the figures of the module in eval mode."""
        self._module.eval()
        return self._validate()

    def save(self, path: Path) -> None:
        """Write the module."""
        self._module.save(path)

    def state(self) -> dict[str, Any]:
        """Return weights and the optimiser's state."""
        return {"module": self._module.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._module.load_state_dict(state["module"])
        self._optimiser.load_state_dict(state["optimiser"])
