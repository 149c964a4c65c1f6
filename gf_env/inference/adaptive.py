"""Adaptive inference that really stops: images leave the batch as soon as they are sure.

The paper's early exit (section 3.3), which its release only computes afterwards from episodes of
full length. Here later looks run on fewer images, so that time falls as multiply-adds do. Or the
policy says itself which images have been looked at enough.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gf_env.envs import episodes
from gf_env.envs.episodes import Episodes, Rules
from gf_env.envs.make_task import check_network, network_actions
from gf_env.envs.observations import check_observe
from gf_env.inference.budgets import per_step
from gf_env.inference.choosing import Chooser, chooser
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import Policy, grid_size_of, observed_by, stops


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
            environment. Where it can stop, it decides when an image has been looked at enough.
        sequence_length: T, the most looks; the network's own by default.
        grid_size: n for policies with n x n grid actions; by default what the policy says, see
            `gf_env.evaluate`.

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
        check_observe(observed_by(policy))
        grid_size = grid_size_of(policy, grid_size)
        self._stops = stops(policy)
        actions = network_actions(network, grid_size, stop=self._stops)
        self._chooser = chooser(policy, actions, network.device)

    @property
    def sequence_length(self) -> int:
        """T, the most looks at an image."""
        return self._rules.sequence_length

    @torch.inference_mode()
    def classify(
        self,
        images: torch.Tensor,
        exit_thresholds: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> Classification:
        """Classify images, each with as few looks as the thresholds allow.

        Args:
            images: (n, C, S, S), uint8 or normalised float; n may be 0.
            exit_thresholds: T values; an image leaves after the first look t at which its largest
                probability reaches value t, after the glance too, and after look T at the latest,
                whatever the last value is. `inf` lets nobody leave; see `gf_env.exit_thresholds`.
                None: all T looks at every image, or as many as a policy that stops takes.
            batch_size: the most images that are looked at at a time. All looks but the last ones
                are at so many, as an image costs less in a large batch than in a small one; up to
                twice as many are under way. None: all at once.

        Returns:
            Tensors on the network's device.

        Raises:
            TypeError: images that are no tensor.
            ValueError: images of another shape than the network's; thresholds of a wrong length,
                negative or NaN, or any for a policy that stops; actions of a wrong shape or NaN; a
                policy's state whose rows cannot be told apart; a batch_size below 1.
        """
        if exit_thresholds is not None and self._stops:
            raise ValueError(
                f"{type(self.policy).__name__} decides itself when to stop; leave exit_thresholds "
                "out, or give a policy that cannot stop"
            )
        thresholds = _check_thresholds(exit_thresholds, self.sequence_length)
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        images = _check_images(images).to(self.network.device, non_blocking=True)
        images = images.contiguous()  # here, or every look would make a copy for itself
        results = _Results(len(images), self.network, thresholds)
        size = max(1, len(images) if batch_size is None else batch_size)
        waiting, started = None, 0
        while waiting is not None or started < len(images):
            if started < len(images) and (waiting is None or len(waiting.images) < size):
                new = self._start(images, started, size)
                waiting = _join(waiting, results.record(new))
                started += len(new.images)
            elif waiting is not None:
                first, others = waiting.split(size)
                waiting = _join(others, self._look_again(first, results))
        return results.classification()

    def _start(self, images: torch.Tensor, first: int, count: int) -> _Running:
        """Glance at `count` images, from number `first` on, or at as many as there are."""
        last = min(first + count, len(images))
        rows = torch.arange(first, last, device=images.device)
        # no label is known here, and none is looked at
        state = episodes.reset(self.network, self._rules, images, torch.zeros_like(rows), rows)
        return _Running(state, rows, self._chooser.start(len(rows)), self._chooser)

    def _look_again(self, running: _Running, results: _Results) -> _Running | None:
        """Let the policy choose a patch in each image, look at it, and return who is left."""
        look, memory = self._chooser.choose(running.state, running.memory)
        asked, locations = running._replace(memory=memory), look.locations
        going: _Running | None = asked
        if look.stop is not None:
            going, locations = results.leave(asked, look.stop), locations[~look.stop]
        if going is None:
            return None
        after = episodes.advance(self.network, going.state, locations)
        return results.record(going._replace(state=after))


class _Running(NamedTuple):
    """Images that are still looked at.

    Attributes:
        state: k episodes, at any steps, whose `images` are all images.
        images: (k,) int64, which images these are, as the state's `rows`.
        memory: the policy's, of them.
        chooser: whose memory it is.
    """

    state: Episodes
    images: torch.Tensor
    memory: Any
    chooser: Chooser

    def take(self, rows: torch.Tensor) -> _Running:
        """Return those in `rows`, (r,) int64."""
        memory = self.chooser.take(self.memory, rows)
        return self._replace(state=self.state.take(rows), images=self.images[rows], memory=memory)

    def split(self, count: int) -> tuple[_Running, _Running | None]:
        """Return the first `count` or as many as there are, and the others, None for none."""
        if len(self.images) <= count:
            return self, None
        every = torch.arange(len(self.images), device=self.images.device)
        return self.take(every[:count]), self.take(every[count:])


def _join(some: _Running | None, others: _Running | None) -> _Running | None:
    """Return some images and then others, None for none."""
    if some is None or others is None:
        return others if some is None else some
    counts = len(some.images), len(others.images)
    return some._replace(
        state=some.state.join(others.state),
        images=torch.cat([some.images, others.images]),
        memory=some.chooser.join(some.memory, others.memory, counts),
    )


class _Results:
    """What the images that have left were taken for."""

    def __init__(
        self, count: int, network: GlanceFocusNet, thresholds: NDArray[np.float64]
    ) -> None:
        device = network.device
        # in float64, as the search for thresholds is
        self._thresholds = torch.tensor(thresholds, device=device)
        self._steps = len(thresholds)
        classes = len(network.config.classes)
        self._probabilities = torch.zeros(count, classes, device=device)
        self._looks = torch.zeros(count, dtype=torch.int64, device=device)

    def record(self, running: _Running) -> _Running | None:
        """Write down the images that are sure or at their end; return the others, None for none."""
        step = running.state.step
        sure = running.state.logits.softmax(1).amax(1).double() >= self._thresholds[step - 1]
        return self.leave(running, sure | (step >= self._steps))

    def leave(self, running: _Running, leaving: torch.Tensor) -> _Running | None:
        """Write down the images that leave, (k,) bool; return the others, None for none."""
        stay = (~leaving).nonzero()[:, 0]
        if len(stay) and len(stay) == len(running.images):
            return running
        # those that stay are written too: that saves a selection, and a later result replaces it
        self._probabilities[running.images] = running.state.logits.softmax(1)
        self._looks[running.images] = running.state.step
        return running.take(stay) if len(stay) else None

    def classification(self) -> Classification:
        """Return the results of all images."""
        max_probability, prediction = self._probabilities.max(1)
        return Classification(prediction, max_probability, self._looks, self._probabilities)


def _check_thresholds(values: ArrayLike | None, steps: int) -> NDArray[np.float64]:
    array = per_step("exit_thresholds", np.full(steps, np.inf) if values is None else values, steps)
    if not (array >= 0).all():  # NaN neither
        raise ValueError(
            f"exit_thresholds are probabilities, 0 or more, or inf for never, got {array.tolist()}"
        )
    return array


def _check_images(images: torch.Tensor) -> torch.Tensor:
    if not isinstance(images, torch.Tensor):
        raise TypeError(
            f"expected images as a torch tensor (n, C, S, S), got {type(images).__name__}; "
            "torch.as_tensor makes one"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"expected uint8 or normalised float images, got {images.dtype}")
    return images
