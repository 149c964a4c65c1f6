"""Adaptive inference that really stops: images leave the batch as soon as they are sure.

The paper's early exit (section 3.3), which its release only computes afterwards from episodes of
full length. Here later looks run on fewer images, so that time falls as multiply-adds do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gf_env import episodes, patches
from gf_env.actions import to_locations
from gf_env.episodes import Episodes, Rules
from gf_env.evaluation import Policy
from gf_env.network import GlanceFocusNet
from gf_env.observations import check_observe, observation, observed_by
from gf_env.task import check_network


class Classification(NamedTuple):
    """What n images were taken for, and after how many looks.

    Attributes:
        prediction: (n,) int64, the class.
        max_probability: (n,) float32 in [0, 1], its probability at leaving.
        looks: (n,) int64 in 1 to T; 1 where the glance was enough.
        probabilities: (n, classes) float32 in [0, 1], at leaving.
    """

    prediction: torch.Tensor
    max_probability: torch.Tensor
    looks: torch.Tensor
    probabilities: torch.Tensor


class AdaptiveClassifier:
    """A network and a policy that classify images with as many looks as each image needs.

    Args:
        network: in eval mode.
        policy: chooses the patches, deterministically, and sees what it would see in an
            environment.
        sequence_length: T, the most looks; the network's own by default.
        grid_size: n for policies with n x n grid actions; None for continuous ones.

    Raises:
        TypeError: no policy, or one that must see labels.
        ValueError: a network in training mode, a length that it cannot take, or unknown extra
            observation keys.
    """

    def __init__(
        self,
        network: GlanceFocusNet,
        policy: Policy,
        sequence_length: int | None = None,
        *,
        grid_size: int | None = None,
    ) -> None:
        if not isinstance(policy, Policy):
            raise TypeError(
                f"{type(policy).__name__} is no policy that can do without labels: it needs a "
                "method predict(observation, state, episode_start, deterministic)"
            )
        config = network.config
        self.network = network
        self.policy = policy
        self._rules = Rules(config.sequence_length if sequence_length is None else sequence_length)
        check_network(network, self._rules)
        self._observe = observed_by(policy)
        check_observe(self._observe)
        self._grid: torch.Tensor | None = None
        if grid_size is not None:
            grid = patches.grid_locations(grid_size, config.image_size, config.patch_size)
            self._grid = grid.to(network.device)

    @property
    def sequence_length(self) -> int:
        """T, the most looks at an image."""
        return self._rules.sequence_length

    @torch.no_grad()
    def classify(
        self, images: torch.Tensor, exit_thresholds: ArrayLike | None = None
    ) -> Classification:
        """Classify images, each with as few looks as the thresholds allow.

        Args:
            images: (n, C, S, S), uint8 or normalised float; n may be 0.
            exit_thresholds: T values; an image leaves after the first look t at which its largest
                probability reaches value t, after the glance too, and after look T at the latest,
                whatever the last value is. `inf` lets nobody leave; see `gf_env.exit_thresholds`.
                None: all T looks at every image.

        Returns:
            Tensors on the network's device.

        Raises:
            TypeError: images that are no tensor.
            ValueError: images of another shape than the network's; thresholds of a wrong length,
                negative or NaN; actions of a wrong shape or NaN; a policy's state whose rows
                cannot be told apart.
        """
        thresholds = _check_thresholds(exit_thresholds, self.sequence_length)
        device = self.network.device
        images = _check_images(images).to(device, non_blocking=True)
        # the rules pay rewards, for which any class will do
        labels = torch.zeros(len(images), dtype=torch.int64, device=device)
        state = episodes.reset(self.network, self._rules, images, labels)
        probabilities = torch.empty_like(state.logits)
        looks = torch.empty_like(labels)
        inside = torch.arange(len(images), device=device)
        memory: Any = None
        for look, threshold in enumerate(thresholds[:-1], start=1):
            if threshold < np.inf:
                now = state.logits.softmax(1)
                # in float64, as the search for thresholds is
                stay = (~(now.amax(1).double() >= threshold)).nonzero()[:, 0]
                if len(stay) < len(inside):
                    # of those who stay, too: one write less, and a later one is theirs
                    probabilities[inside], looks[inside] = now, look
                    state, inside = state.take(stay), inside[stay]
                    memory = _take_memory(memory, stay.cpu().numpy())
            if not len(inside):
                break
            state, memory = self._look_again(state, memory, look)
        probabilities[inside], looks[inside] = state.logits.softmax(1), self.sequence_length
        max_probability, prediction = probabilities.max(1)
        return Classification(prediction, max_probability, looks, probabilities)

    def _look_again(self, state: Episodes, memory: Any, look: int) -> tuple[Episodes, Any]:
        """Let the policy choose a patch in each image and look at it."""
        count = len(state.labels)
        seen = observation(state, self._observe)
        starts = np.full(count, look == 1)
        actions, memory = self.policy.predict(seen, memory, starts, deterministic=True)
        _check_memory(memory, count)
        locations = to_locations(actions, count, self._grid, self.network.device)
        state, _, _ = episodes.step(self.network, self._rules, state, locations)
        return state, memory


def _check_thresholds(values: ArrayLike | None, steps: int) -> list[float]:
    if values is None:
        return [np.inf] * steps
    array = np.asarray(values, np.float64)
    if array.shape != (steps,):
        raise ValueError(
            f"exit_thresholds needs one value for each of {steps} steps, got shape {array.shape}"
        )
    if not (array >= 0).all():  # NaN neither
        raise ValueError(
            f"exit_thresholds are probabilities, 0 or more, or inf for never, got {array.tolist()}"
        )
    thresholds: list[float] = array.tolist()
    return thresholds


def _check_images(images: torch.Tensor) -> torch.Tensor:
    if not isinstance(images, torch.Tensor):
        raise TypeError(
            f"expected images as a torch tensor (n, C, S, S), got {type(images).__name__}; "
            "torch.as_tensor makes one"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"expected uint8 or normalised float images, got {images.dtype}")
    return images


def _check_memory(memory: Any, count: int) -> None:
    """Check that a policy's state has one row for each of `count` episodes."""
    if memory is None:
        return
    axis = 1 if isinstance(memory, tuple) else 0
    for part in memory if isinstance(memory, tuple) else (memory,):
        shape = tuple(getattr(part, "shape", ()))
        if len(shape) <= axis or shape[axis] != count:
            found = f"shape {shape}" if shape else type(part).__name__
            raise ValueError(
                f"expected the policy's state to be None, an array with {count} rows, or a tuple "
                f"of arrays (layers, {count}, size), so that images can leave; got {found}"
            )


def _take_memory(memory: Any, rows: NDArray[np.int64]) -> Any:
    """Return the rows of a policy's state that belong to the episodes in `rows`."""
    if memory is None:
        return None
    if isinstance(memory, tuple):  # as sb3-contrib's recurrent policies have it
        return tuple(part[:, rows] for part in memory)
    return memory[rows]
