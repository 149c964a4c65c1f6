"""Rules that look without learning and without seeing (paper, section 4.3, and a Gaussian)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.base import batch_size, recall_taken
from gf_env.network.glance_focus_net import GlanceFocusNet

Observation = Mapping[str, NDArray[Any]]
Actions = NDArray[np.float32]


class RandomPolicy:
    """Uniformly random patches.

    Args:
        seed: of its generator.
    """

    def __init__(self, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)

    def predict(
        self,
        observation: Observation,
        state: None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, None]:
        """Return uniform actions, (n, 2) float32 in [-1, 1], whether deterministic or not."""
        shape = batch_size(observation), 2
        return self._generator.uniform(-1, 1, shape).astype(np.float32), None


class GaussianPolicy:
    """Patches scattered around the centre.

    Args:
        std: standard deviation of each axis, in units of the action.
        seed: of its generator.
    """

    def __init__(self, std: float = 0.5, seed: int = 0) -> None:
        if not std > 0:
            raise ValueError(f"std must be positive, got {std}")
        self._std = std
        self._generator = np.random.default_rng(seed)

    def predict(
        self,
        observation: Observation,
        state: None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, None]:
        """Return actions around 0, (n, 2) float32 in [-1, 1], whether deterministic or not."""
        shape = batch_size(observation), 2
        actions = self._generator.normal(0, self._std, shape).clip(-1, 1)
        return actions.astype(np.float32), None


class SequencePolicy:
    """The same actions in every episode, over again when they run out.

    Args:
        actions: (k, 2) in [-1, 1], (row, col), in the order of the steps.
    """

    def __init__(self, actions: NDArray[np.float32]) -> None:
        self._actions = np.asarray(actions, np.float32)
        if self._actions.ndim != 2 or self._actions.shape[1] != 2 or not len(self._actions):
            raise ValueError(f"expected actions of shape (k, 2), got {self._actions.shape}")

    def predict(
        self,
        observation: Observation,
        state: NDArray[np.int64] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, NDArray[np.int64]]:
        """Return each episode's next action, (n, 2) float32, and the steps taken, (n,) int64."""
        steps = np.zeros(batch_size(observation), np.int64) if state is None else state
        if episode_start is not None:
            steps = np.where(episode_start, 0, steps)
        return self._actions[steps % len(self._actions)], steps + 1


class CentrePolicy(SequencePolicy):
    """Always the centre."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 2), np.float32))


class CentreCornerPolicy(SequencePolicy):
    """The centre, then the corners: top-left, top-right, bottom-left, bottom-right."""

    def __init__(self) -> None:
        super().__init__(np.array([(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)], np.float32))


class RasterPolicy(SequencePolicy):
    """An n x n grid from corner to corner, as text is read: row by row, each from the left.

    Args:
        grid_size: n; with 1, the centre.
    """

    def __init__(self, grid_size: int = 3) -> None:
        super().__init__(_grid_actions(grid_size))


class CoverPolicy(RasterPolicy):
    """As few patches as cover the image, as text is read, none twice before all have been taken.

    Where the patch's size divides the image's, no pixel is seen twice either.

    Args:
        network: says how large images and patches are.
    """

    def __init__(self, network: GlanceFocusNet) -> None:
        config = network.config
        super().__init__(math.ceil(config.image_size / config.patch_size))


class NoRepeatRandomPolicy:
    """Random patches of an n x n grid, none twice in an episode before all have been taken.

    Args:
        grid_size: n; with 1, the centre.
        seed: of its generator.
    """

    def __init__(self, grid_size: int = 7, seed: int = 0) -> None:
        self._actions = _grid_actions(grid_size)
        self._generator = np.random.default_rng(seed)

    def predict(
        self,
        observation: Observation,
        state: NDArray[np.bool_] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Actions, NDArray[np.bool_]]:
        """Return random actions, (n, 2) float32, and the patches taken so far, (n, n * n) bool."""
        count, choices = batch_size(observation), len(self._actions)
        taken = recall_taken(state, episode_start, count, choices)
        # the largest of uniform numbers is anywhere with the same probability
        drawn = np.where(taken, -1.0, self._generator.random(taken.shape)).argmax(axis=1)
        taken[np.arange(count), drawn] = True
        return self._actions[drawn], taken


def _grid_actions(grid_size: int) -> Actions:
    """Return the actions of `gf_env.geometry.Lattice.grid`, row-major, (k, 2) float32 in [-1, 1].

    Raises:
        ValueError: grid_size below 1.
    """
    if grid_size < 1:
        raise ValueError(f"grid_size must be 1 or more, got {grid_size}")
    lines = np.linspace(-1, 1, grid_size) if grid_size > 1 else np.zeros(1)
    # a rounding error down would start a patch one pixel too early
    lines[1:-1] += 1e-6
    rows, cols = np.meshgrid(lines, lines, indexing="ij")
    return np.stack([rows, cols], axis=-1).reshape(-1, 2).astype(np.float32)
