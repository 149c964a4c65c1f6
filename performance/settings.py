"""Settings in which contenders are compared, and what they work on there.

A setting is the built-in task, or a network with random weights on noise: for speed, neither
weights nor images matter.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import ImageSpec, imagenet_spec
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.envs.task import Task
from gf_env.feature_bank.bank import FeatureBank
from gf_env.feature_bank.bank_file import BankFile
from gf_env.geometry import Lattice
from gf_env.network.config import NetworkConfig
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.training.seeding import seeded_weights

BUILTIN = "cluttered-digits"
GRID_SIZE = 7
"""Rows and columns of patches in a feature bank."""


class NotMeasuredError(Exception):
    """A contender cannot be measured in a setting; the message says why."""


@dataclass(frozen=True)
class Workload:
    """The network, images and number of environments that contenders are compared on.

    Attributes:
        num_envs: episodes at a time.
        encoder: `cluttered-digits`, the built-in task with its network; or an encoder's name.
        image_size: pixels; of the built-in task 96.
        patch_size: pixels; of the built-in task 24.
        num_classes: of the built-in task 10.
        split: of the built-in task.
        num_scenes: in it; None for the usual number.
        num_images: of noise.
        precision: of the encoders.
        compiled: whether they are.
        device: where the network runs.
    """

    num_envs: int
    encoder: str = BUILTIN
    image_size: int = 96
    patch_size: int = 24
    num_classes: int = 10
    split: str = "train"
    num_scenes: int | None = None
    num_images: int = 256
    precision: str = "float32"
    compiled: bool = False
    device: str = "cpu"

    def __str__(self) -> str:
        """Return a short description, for titles."""
        sizes = f"{self.patch_size} px of {self.image_size} px"
        precision = "" if self.precision == "float32" else f", {self.precision}"
        return f"{self.encoder}, {sizes}, {self.num_envs} envs{precision}"

    @property
    def builtin(self) -> bool:
        """Whether it is the built-in task."""
        return self.encoder == BUILTIN


class NoiseImages:
    """A `gf_env.datasets.Dataset` of random pixels in memory.

    Args:
        spec: of the images.
        count: how many.
    """

    name, split = "noise", "train"

    def __init__(self, spec: ImageSpec, count: int) -> None:
        rng = np.random.default_rng(0)
        shape = (count, spec.channels, spec.image_size, spec.image_size)
        self.spec = spec
        self.labels: NDArray[np.int64] = rng.integers(0, len(spec.classes), count)
        self._images = torch.from_numpy(rng.integers(0, 256, shape, np.uint8))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the images at `indices`, (n, C, S, S) uint8."""
        return self._images.index_select(0, torch.from_numpy(np.asarray(indices)))

    def tensor(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return all images, (n, C, S, S) uint8."""
        return self._images


def random_network(setting: Workload) -> GlanceFocusNet:
    """Return a frozen network with random weights for colour images."""
    spec = imagenet_spec(tuple(map(str, range(setting.num_classes))))
    config = NetworkConfig(
        encoder=setting.encoder,
        image_size=setting.image_size,
        patch_size=setting.patch_size,
        channels=spec.channels,
        classes=spec.classes,
        mean=spec.mean,
        std=spec.std,
    )
    with seeded_weights(0):
        return GlanceFocusNet(config).eval().requires_grad_(False)


@dataclass(frozen=True)
class Materials:
    """What contenders work on in a setting; all of it is made when it is first asked for.

    Attributes:
        setting: which.
        folder: for feature banks of noise, which nobody will want again.
        bank_bytes: larger feature banks are not built.
    """

    setting: Workload
    folder: Path
    bank_bytes: float

    @functools.cached_property
    def arguments(self) -> TaskArguments:
        """Of the environments. The built-in task's are plain, so that workers can be sent them."""
        setting = self.setting
        made: TaskArguments = {
            "split": setting.split,
            "precision": setting.precision,
            "compiled": setting.compiled,
            "device": setting.device,
        }
        if setting.builtin:
            return {**made, "num_scenes": setting.num_scenes}
        network = random_network(setting)
        images = NoiseImages(network.config.image_spec, setting.num_images)
        return {**made, "network": network, "dataset": images}

    @functools.cached_property
    def task(self) -> Task:
        """What the environments are about."""
        return make_task(**self.arguments)

    @functools.cached_property
    def bank_arguments(self) -> TaskArguments:
        """Of the environments with a feature bank.

        Raises:
            NotMeasuredError: it is too large.
        """
        bank, _ = self._bank
        return {**self.arguments, "grid_size": GRID_SIZE, "feature_bank": bank}

    @functools.cached_property
    def bank_task(self) -> Task:
        """What the environments with a feature bank are about; errors as of `bank_arguments`."""
        return make_task(**self.bank_arguments)

    @property
    def bank_notes(self) -> dict[str, Any] | None:
        """What the feature bank took; None where nothing asked for it, or it is too large."""
        return self._bank[1] if "_bank" in self.__dict__ else None

    def indices(self, count: int) -> NDArray[np.int64]:
        """Return `count` images drawn at random, the same at every call."""
        return np.random.default_rng(0).integers(0, len(self.task.dataset), count)

    def changed(self, **changes: Any) -> Materials:
        """Return those of a setting that differs in some fields."""
        return dataclasses.replace(self, setting=dataclasses.replace(self.setting, **changes))

    @functools.cached_property
    def _bank(self) -> tuple[FeatureBank, dict[str, Any]]:
        setting, task = self.setting, self.task
        lattice = Lattice.grid(GRID_SIZE, setting.image_size, setting.patch_size)
        name = f"{setting.encoder}-{setting.image_size}-{setting.patch_size}.npy"
        path = None if setting.builtin else self.folder / name
        file = BankFile(task.network, task.dataset, lattice, path)
        try:
            plan = file.plan()
        except OSError as error:
            raise NotMeasuredError(str(error)) from error
        if plan.num_bytes > self.bank_bytes:
            raise NotMeasuredError(f"it would be too large here: {plan}")
        began = time.perf_counter()
        bank = file.open() if file.is_built() else file.build()
        return bank, {
            "bytes": plan.num_bytes,
            "images": plan.num_images,
            "images_done_before": plan.images_done,
            "planned_seconds": plan.seconds,
            "build_and_open_seconds": time.perf_counter() - began,
        }
