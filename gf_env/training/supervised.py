"""A supervised phase: SGD on an objective and a data set."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gf_env.datasets.base import Dataset
from gf_env.datasets.batches import Loading, read_batches
from gf_env.training import processes
from gf_env.training.epochs import epoch_indices, epoch_seed, steps_in_epoch
from gf_env.training.loop import ACCURACY, Metrics
from gf_env.training.objectives import Objective
from gf_env.training.precision import TrainingPrecision, is_mixed
from gf_env.training.schedule import OptimiserConfig, load_optimiser, make_optimiser, make_schedule


class SupervisedTrainee:
    """A `gf_env.training.loop.Trainee` with labels.

    Args:
        phase: its name, a part of the seed.
        objective: what it minimises, see `gf_env.training.objectives`.
        dataset: what it learns from.
        config: schedule.
        validate: returns metrics of the objective's module, which is in eval mode.
        loading: device and workers.
        augment: learn from varied copies of the images, where the data set has them.
        precision: see `gf_env.training.precision`.
        seed: of everything drawn.
        score: by which metric the best epoch is found.
    """

    def __init__(
        self,
        phase: str,
        objective: Objective,
        dataset: Dataset,
        config: OptimiserConfig,
        validate: Callable[[], Metrics],
        *,
        loading: Loading,
        augment: bool,
        precision: TrainingPrecision,
        seed: int,
        score: str = ACCURACY,
    ) -> None:
        self.score = score
        self.epochs = config.epochs
        self.steps_per_epoch = steps_in_epoch(len(dataset), config.batch_size)
        self.samples_per_step = min(config.batch_size, len(dataset))
        self._phase, self._module, self._dataset = phase, objective.module, dataset
        self._objective = processes.shared(objective) if config.epochs else objective
        self._optimiser = make_optimiser(*objective.encoders_and_others(), config)
        self._config, self._validate = config, validate
        self._loading, self._augment = loading, augment
        self._mixed, self._seed = is_mixed(precision, loading.device), seed

    def train_epoch(
        self, number: int, on_step: Callable[[Mapping[str, torch.Tensor]], None]
    ) -> None:
        """Train one epoch, counted from 0."""
        seed = epoch_seed(self._seed, self._phase, number)
        own_seed = seed + processes.rank()  # processes draw other locations and dropout
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
        first_step = number * self.steps_per_epoch
        schedule = make_schedule(self._optimiser, self._config, self.steps_per_epoch, first_step)
        for batch in batches:
            rate = schedule.get_last_lr()[0]
            self._optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=self._mixed):
                loss = self._objective(batch, generator)
            loss.backward()
            self._optimiser.step()
            schedule.step()
            on_step({"losses/loss": loss.detach(), "charts/learning_rate": torch.tensor(rate)})

    def validate(self) -> Metrics:
        """Return the metrics of the module in eval mode."""
        self._module.eval()
        return self._validate()

    def save(self, path: Path) -> None:
        """Write the module."""
        self._module.save(path)

    def state(self) -> dict[str, Any]:
        """Return weights and the optimiser's state."""
        return {"module": self._module.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self._module.load_state_dict(state["module"])
        load_optimiser(self._optimiser, state["optimiser"])
