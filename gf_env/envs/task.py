"""What an environment is about: network, data set, rules, spaces.

Both environments, the evaluation and the learners stand on a `Task`; it turns NumPy actions into
locations and episodes into observations and infos.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from gf_env import geometry
from gf_env.datasets import Dataset
from gf_env.datasets.batches import to_device
from gf_env.datasets.image_source import ImageSource
from gf_env.envs import episodes, observations
from gf_env.envs.actions import ActionCodec, Look
from gf_env.envs.episodes import Episodes, GlimpseSource, Rules
from gf_env.envs.observations import Observation
from gf_env.network.glance_focus_net import GlanceFocusNet

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """A sequence of decisions on the images of a data set; made by `gf_env.make_task`.

    Attributes:
        network: frozen, in eval mode.
        dataset: the images.
        rules: length, reward, exits.
        observe: extra observation keys.
        actions: what an agent's actions mean.
        glimpse_source: what episodes see with: the network, a faster form of it, or a feature bank.
        images: what episodes' images are taken from: the data set, its images kept on the device,
            or their numbers in the bank.
    """

    network: GlanceFocusNet
    dataset: Dataset
    rules: Rules
    observe: tuple[str, ...]
    actions: ActionCodec
    glimpse_source: GlimpseSource
    images: ImageSource

    def __deepcopy__(self, memo: dict[int, Any]) -> "Task":
        """Return the task itself: nothing in it changes, so copies of environments share it."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the network is and episodes run."""
        return self.network.device

    @functools.cached_property
    def observation_space(self) -> spaces.Dict:
        """Of one environment."""
        config = self.network.config
        shape = (1, config.channels, config.image_size, config.image_size)
        blank = torch.zeros(shape, dtype=torch.uint8, device=self.device)
        label = torch.zeros(1, dtype=torch.int64, device=self.device)
        seen = self.observation(episodes.reset(self.network, self.rules, blank, label))
        bounds = {
            "locations": (-1.0, 1.0),
            "step": (1.0, float(self.rules.sequence_length)),
            "probabilities": (0.0, 1.0),
        }
        return spaces.Dict(
            {
                key: spaces.Box(*bounds.get(key, (-np.inf, np.inf)), value.shape[1:], np.float32)
                for key, value in seen.items()
            }
        )

    def start(self, indices: NDArray[np.int64]) -> Episodes:
        """Return new episodes on the images at `indices`, (n,), after the glance."""
        images, rows = self.images.select(indices)
        labels = to_device(torch.from_numpy(self.images.labels[indices]), self.device)
        return self.reset(images, labels, rows)

    def reset(
        self, images: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Episodes:
        """Return new episodes after the glance.

        Args:
            images: m images of the task's source, on the device.
            labels: (n,) int64.
            rows: (n,) int64 in [0, m), which images; None: all, n = m.
        """
        return episodes.reset(self.glimpse_source, self.rules, images, labels, rows)

    def without_images(self, state: Episodes) -> Episodes:
        """Return episodes as they are pickled: without the images, which may be a whole split's."""
        return state._replace(images=state.images[:0].clone(), rows=None)

    def with_images(self, state: Episodes, indices: NDArray[np.int64]) -> Episodes:
        """Return episodes that were `without_images` with those at `indices`, (n,), again."""
        images, rows = self.images.select(indices)
        return state._replace(images=images, rows=rows)

    def step(self, state: Episodes, look: Look) -> tuple[Episodes, torch.Tensor, torch.Tensor]:
        """Look once more, or stop, in each of n episodes; see `gf_env.envs.episodes.step`."""
        return episodes.step(self.glimpse_source, self.rules, state, look)

    def pixels(self, state: Episodes) -> torch.Tensor:
        """Return the images of n episodes as uint8 pixels, (n, C, S, S)."""
        return self.network.normalise.undo(self.images.pixels(state.own_images()))

    def observation_tensors(
        self, state: Episodes, observe: Sequence[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """Return what a policy may see of n episodes; `observe` is the task's own by default."""
        return observations.observation_tensors(state, self.observe if observe is None else observe)

    def observation(self, state: Episodes) -> Observation:
        """Return what a policy may see of n episodes as fresh, C-contiguous float32 arrays."""
        return observations.observation(state, self.observe)

    def info(
        self, state: Episodes, indices: NDArray[np.int64], ended: NDArray[np.bool_]
    ) -> dict[str, Array]:
        """Return the environments' info of n episodes, arrays of length n.

        Args:
            state: the episodes.
            indices: (n,) int64, which images they are.
            ended: (n,) bool, which of them are at their end.
        """
        readout = episodes.readout(state)
        step = state.step.cpu().numpy().copy()
        stopped = state.stopped.cpu().numpy().copy()
        spent = np.array(self.network.step_cost.cumulative(self.rules.sequence_length), np.int64)
        correct = readout.correct.cpu().numpy()
        return {
            "index": indices.copy(),
            "label": state.labels.cpu().numpy().copy(),
            "prediction": readout.prediction.cpu().numpy(),
            "confidence": readout.confidence.double().cpu().numpy(),
            "max_probability": readout.max_probability.double().cpu().numpy(),
            "correct": correct,
            "step": step,
            "patch": self._newest_patch(state, step),
            "multiply_adds": spent[step - 1],
            "gain": state.gain.double().cpu().numpy(),
            "cost": self.rules.look_cost * ((step > 1) & ~stopped),
            "stopped": stopped,
            "is_success": correct & ended,
        }

    def _newest_patch(self, state: Episodes, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (n, 4) int64: top, left, height, width; the whole image for the glance."""
        size, patch = self.network.config.image_size, self.network.config.patch_size
        newest = state.locations.cpu().numpy()[np.arange(len(step)), np.maximum(step - 2, 0)]
        boxes = np.full((len(step), 4), patch)
        boxes[:, :2] = geometry.corners(torch.from_numpy(newest), size, patch).numpy()
        boxes[step == 1] = (0, 0, size, size)
        return boxes

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
