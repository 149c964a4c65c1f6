"""What an environment is about, put together and checked once: network, data set, rules, spaces.

Both environments, the evaluation and the learners stand on a `Task`; it turns NumPy actions into
locations and episodes into observations and infos.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from typing_extensions import Unpack

from gf_env import bank_file, episodes, observations, patches
from gf_env.actions import to_locations
from gf_env.cost import StepCost
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.base import InMemory
from gf_env.datasets.resident import ResidentImages, fits_on, to_device
from gf_env.episodes import Episodes, Rules
from gf_env.feature_bank import FeatureBank, Places
from gf_env.lattice import Lattice
from gf_env.network import GlanceFocusNet, load_network, network_names
from gf_env.observations import Observation, check_observe
from gf_env.rewards import AGAINST_RANDOM
from gf_env.sight import Sight, make_sight

Array = NDArray[Any]

BUILTIN = "cluttered-digits"


@dataclass(frozen=True)
class Task:
    """A sequence of decisions on the images of a data set; made by `make_task`.

    Attributes:
        network: frozen, in eval mode.
        dataset: the images.
        rules: length, reward, exits.
        observe: extra observation keys.
        grid: (k, 2) float32 locations that discrete actions stand for, or None for continuous
            actions.
        sight: what episodes see with: the network, a faster form of it, or a feature bank.
        source: what episodes' `images` are read from: the data set, its images kept on the device,
            or the images' places in the bank.
    """

    network: GlanceFocusNet
    dataset: Dataset
    rules: Rules
    observe: tuple[str, ...]
    grid: torch.Tensor | None
    sight: Sight
    source: Dataset

    @property
    def device(self) -> torch.device:
        """Where the network is and episodes run."""
        return self.network.device

    @property
    def cost(self) -> StepCost:
        """Multiply-adds of the network's steps."""
        return self.network.step_cost

    @property
    def action_space(self) -> spaces.Box | spaces.Discrete:
        """Of one environment."""
        if self.grid is not None:
            return spaces.Discrete(len(self.grid))
        return spaces.Box(-1.0, 1.0, (2,), np.float32)

    @functools.cached_property
    def observation_space(self) -> spaces.Dict:
        """Of one environment."""
        shapes = {key: value.shape[1:] for key, value in self.observation(self._sample()).items()}
        bounds = {"locations": (-1.0, 1.0), "step": (1.0, float(self.rules.sequence_length))}
        return spaces.Dict(
            {
                key: spaces.Box(*bounds.get(key, (-np.inf, np.inf)), shape, np.float32)
                for key, shape in shapes.items()
            }
        )

    def _sample(self) -> Episodes:
        spec = self.network.config.image_spec
        size = spec.image_size
        images = torch.zeros(1, spec.channels, size, size, dtype=torch.uint8, device=self.device)
        return episodes.reset(self.network, self.rules, images, self._tensor(np.zeros(1, np.int64)))

    def _tensor(self, values: Array) -> torch.Tensor:
        return to_device(torch.from_numpy(values), self.device)

    def start(self, indices: NDArray[np.int64]) -> Episodes:
        """Return new episodes on the images at `indices`, (n,), after the glance."""
        labels = self._tensor(self.source.labels[indices])
        if isinstance(self.source, InMemory):
            images = self.source.tensor(indices)
            if images.device == self.device:
                return self.reset(images, labels, self._tensor(indices))
        return self.reset(to_device(self.source.images(indices), self.device), labels)

    def reset(
        self, images: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Episodes:
        """Return new episodes after the glance.

        Args:
            images: m images of the source, on the device.
            labels: (n,) int64.
            rows: (n,) int64 in [0, m), which images; None: all, n = m.
        """
        return episodes.reset(self.sight, self.rules, images, labels, rows)

    def step(
        self, state: Episodes, locations: torch.Tensor
    ) -> tuple[Episodes, torch.Tensor, torch.Tensor]:
        """Look once more, at locations (n, 2) in [0, 1]; see `gf_env.episodes.step`."""
        return episodes.step(self.sight, self.rules, state, locations)

    def pixels(self, state: Episodes) -> torch.Tensor:
        """Return the images of n episodes as uint8 pixels, (n, C, S, S)."""
        images = state.own_images()
        if isinstance(self.source, Places):
            images = self.dataset.images(images.cpu().numpy())
        return self.network.normalise.undo(images)

    def locations(self, actions: Any, count: int) -> torch.Tensor:
        """Turn `count` actions into locations (count, 2) float32 in [0, 1].

        Raises:
            ValueError: wrong shape or type, NaN, or a grid index that does not exist.
        """
        return to_locations(actions, count, self.grid, self.device)

    def observation_tensors(
        self, state: Episodes, observe: Sequence[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """Return what a policy may see of n episodes; the label is not in it.

        Args:
            state: the episodes.
            observe: extra keys; the task's own by default.
        """
        return observations.observation_tensors(state, self.observe if observe is None else observe)

    def observation(self, state: Episodes, observe: Sequence[str] | None = None) -> Observation:
        """Return `observation_tensors` as fresh, C-contiguous float32 arrays."""
        return observations.observation(state, self.observe if observe is None else observe)

    def info(self, state: Episodes, indices: NDArray[np.int64]) -> dict[str, Array]:
        """Return the environments' info of n episodes, arrays of length n.

        Args:
            state: the episodes.
            indices: (n,) int64, which images they are.
        """
        readout = episodes.readout(state)
        step = state.step.cpu().numpy().copy()
        spent = np.array(self.cost.cumulative(self.rules.sequence_length), np.int64)
        return {
            "index": indices.copy(),
            "label": state.labels.cpu().numpy().copy(),
            "prediction": readout.prediction.cpu().numpy(),
            "confidence": readout.confidence.double().cpu().numpy(),
            "max_probability": readout.max_probability.double().cpu().numpy(),
            "correct": readout.correct.cpu().numpy(),
            "step": step,
            "patch": self._newest_patch(state),
            "multiply_adds": spent[step - 1],
        }

    def _newest_patch(self, state: Episodes) -> NDArray[np.int64]:
        """Return (n, 4) int64: top, left, height, width; the whole image for the glance."""
        size, patch = self.network.config.image_size, self.network.config.patch_size
        newest = (state.step - 2).clamp(min=0)[:, None, None].expand(-1, 1, 2)
        corners = patches.corners(state.locations.gather(1, newest)[:, 0], size, patch)
        boxes = torch.cat([corners, torch.full_like(corners, patch)], dim=1)
        whole = torch.tensor([0, 0, size, size], device=self.device)
        boxes = torch.where((state.step == 1)[:, None], whole, boxes)
        return boxes.cpu().numpy()

    def check_index(self, index: Any) -> int:
        """Return an image's index.

        Raises:
            ValueError: no integer, or outside the split.
        """
        count = len(self.dataset)
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
            raise ValueError(f"an image's index is an integer, got {index!r}")
        if not 0 <= index < count:
            raise ValueError(
                f"index {index} is outside split {self.dataset.split!r} of {self.dataset.name}, "
                f"which has images 0 to {count - 1}"
            )
        return int(index)


class TaskArguments(TypedDict, total=False):
    """What every environment can be made with.

    Attributes:
        dataset: `cluttered-digits` (the default), a folder, a torchvision name, or an object: see
            `gf_env.datasets.load_dataset`.
        split: which part of it, `train` by default.
        unreadable: `stop` (the default) at images that cannot be decoded, or `skip` them.
        network: a built-in name (`cluttered-digits` by default), a file, or a `GlanceFocusNet` in
            eval mode.
        sequence_length: T, glance included; the network's own by default.
        reward: a name in `gf_env.rewards.REWARDS`, `confidence_gain` by default.
        observe: extra observation keys, out of `gf_env.observations.EXTRA_OBSERVATIONS`.
        exit_thresholds: T probabilities; see `gf_env.episodes.Rules`.
        grid_size: n for n x n discrete actions; None for continuous ones.
        lattice_stride: continuous actions go to the nearest of the patches that start every so many
            pixels; None: everywhere.
        feature_bank: look features up instead of computing them. True: in the bank in the cache
            folder, built first where there is none yet; a path: in that one, which `gf-env bank`
            built; or a `FeatureBank`. Continuous actions then go to the nearest of its patches.
        precision: of the encoders, `float32` (the default) or `bfloat16`.
        compiled: with torch.compile, False by default; see `gf_env.sight.FasterSight`.
        device: where the network runs, `cpu` by default.
    """

    dataset: str | os.PathLike[str] | Dataset
    split: str
    unreadable: str
    network: str | os.PathLike[str] | GlanceFocusNet
    sequence_length: int | None
    reward: str
    observe: Sequence[str]
    exit_thresholds: Sequence[float] | None
    grid_size: int | None
    lattice_stride: int | None
    feature_bank: bool | str | os.PathLike[str] | FeatureBank | None
    precision: str
    compiled: bool
    device: str | torch.device


def make_task(**arguments: Unpack[TaskArguments]) -> Task:
    """Put a task together; `TaskArguments` says of what.

    Raises:
        TypeError: an argument that does not exist.
        ValueError: one that is unknown in itself, or some that do not fit each other: network and
            data set, or a feature bank of another network, data set or lattice.
        TensorFileError: a damaged network or feature bank.
        OSError: no room for a feature bank.
    """
    _check_names(arguments)
    observe = arguments.get("observe", ())
    check_observe(observe)
    device = torch.device(arguments.get("device", "cpu"))
    network = _resolve_network(arguments.get("network", BUILTIN), device)
    dataset = load_dataset(
        arguments.get("dataset", BUILTIN),
        arguments.get("split", "train"),
        like=network.config.image_spec,
        unreadable=arguments.get("unreadable", "stop"),
    )
    _check_fit(network, dataset)
    bank = _feature_bank(arguments, network, dataset)
    rules = _rules(arguments, network, bank)
    check_network(network, rules)
    grid_size = arguments.get("grid_size")
    return Task(
        network=network,
        dataset=dataset,
        rules=rules,
        observe=tuple(observe),
        grid=None if grid_size is None else _grid(grid_size, network).locations(device),
        sight=_sight(arguments, network) if bank is None else bank,
        source=_resident(dataset, device) if bank is None else Places(dataset),
    )


def _resident(dataset: Dataset, device: torch.device) -> Dataset:
    return ResidentImages(dataset, device) if fits_on(dataset, device) else dataset


def _rules(arguments: TaskArguments, network: GlanceFocusNet, bank: FeatureBank | None) -> Rules:
    length = arguments.get("sequence_length")
    thresholds = arguments.get("exit_thresholds")
    reward = arguments.get("reward", "confidence_gain")
    return Rules(
        network.config.sequence_length if length is None else int(length),
        reward,
        None if thresholds is None else tuple(map(float, thresholds)),
        _lattice(arguments, network) if bank is None else bank.lattice,
        _cover(network) if reward in AGAINST_RANDOM else None,
    )


def _cover(network: GlanceFocusNet) -> Lattice:
    """Return as few patches as cover the whole image."""
    config = network.config
    return _grid(math.ceil(config.image_size / config.patch_size), network)


def _lattice(arguments: TaskArguments, network: GlanceFocusNet) -> Lattice | None:
    """Return where continuous actions go, None for everywhere."""
    stride = arguments.get("lattice_stride")
    if stride is None:
        return None
    if arguments.get("grid_size") is not None:
        raise ValueError("lattice_stride is for continuous actions; leave it or grid_size out")
    return Lattice.strided(stride, network.config.image_size, network.config.patch_size)


def _grid(grid_size: int, network: GlanceFocusNet) -> Lattice:
    return Lattice.grid(grid_size, network.config.image_size, network.config.patch_size)


def _sight(arguments: TaskArguments, network: GlanceFocusNet) -> Sight:
    precision = arguments.get("precision", "float32")
    return make_sight(network, precision, compiled=arguments.get("compiled", False))


def _feature_bank(
    arguments: TaskArguments, network: GlanceFocusNet, dataset: Dataset
) -> FeatureBank | None:
    given = arguments.get("feature_bank")
    if given is None or given is False:
        return None
    if arguments.get("compiled") or arguments.get("precision", "float32") != "float32":
        raise ValueError(
            "a feature bank leaves no encoder to run: leave out precision and compiled"
        )
    lattice = _lattice(arguments, network)
    grid_size = arguments.get("grid_size")
    if grid_size is not None:
        lattice = _grid(grid_size, network)
    return bank_file.feature_bank(given, network, dataset, lattice)


def _check_names(arguments: TaskArguments) -> None:
    known = TaskArguments.__annotations__
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise TypeError(f"got unexpected arguments {unknown}; choose from {sorted(known)}")


def _resolve_network(
    network: str | os.PathLike[str] | GlanceFocusNet, device: torch.device
) -> GlanceFocusNet:
    if isinstance(network, GlanceFocusNet):
        return network.to(device)
    path = os.fspath(network)
    changed = (
        None if path in network_names() or not os.path.exists(path) else os.stat(path).st_mtime
    )
    return _shared_network(path, device, changed)


@functools.lru_cache(maxsize=4)
def _shared_network(path: str, device: torch.device, changed: float | None) -> GlanceFocusNet:
    """Many environments in one process share one frozen network, while its file is the same."""
    return load_network(path, device)


def _check_fit(network: GlanceFocusNet, dataset: Dataset) -> None:
    wanted, given = network.config.image_spec, dataset.spec
    differing = [
        f"{name} {ours} against {theirs}"
        for name, ours, theirs in (
            ("image_size", wanted.image_size, given.image_size),
            ("channels", wanted.channels, given.channels),
            ("number of classes", len(wanted.classes), len(given.classes)),
        )
        if ours != theirs
    ]
    if differing:
        raise ValueError(
            f"the network does not fit the data set {dataset.name}: {', '.join(differing)} "
            "(the network's against the data set's)"
        )


def check_network(network: GlanceFocusNet, rules: Rules) -> None:
    """Check that episodes can be run with a network.

    Raises:
        ValueError: it is in training mode, or cannot take so many steps.
    """
    if network.training:
        raise ValueError("the network is in training mode; call network.eval() first")
    config = network.config
    if config.classifier == "cascaded" and rules.sequence_length > config.sequence_length:
        raise ValueError(
            f"a cascaded classifier made for {config.sequence_length} steps cannot take "
            f"{rules.sequence_length}; choose a sequence_length up to {config.sequence_length}"
        )
