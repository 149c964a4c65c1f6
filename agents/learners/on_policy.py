"""What learners share that learn from episodes their policy has just run.

Episodes in one batch on the network's device, returns of them, statistics that leave out what comes
after an episode's end, a new policy network, and what changes between the first and last update.
The learners themselves are one file each.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from agents.policies.actors import GaussianActor
from agents.policies.recurrent_network import RecurrentPolicyConfig, RecurrentPolicyNetwork
from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from gf_env.envs.task import Task
from gf_env.training.epochs import epoch_indices, epoch_seed, steps_in_epoch

Figures = dict[str, torch.Tensor]
"""What one update did: scalars by name."""


def new_network(
    task: Task,
    *,
    sees: Sequence[str],
    hidden_size: int,
    recurrent: bool,
    seed: int,
    **more: Any,
) -> RecurrentPolicyNetwork:
    """Return an untrained network for a task's observations and actions, on its device.

    Args:
        task: what will be played.
        sees: observations that the policy gets, out of `agents.policies.recurrent_network.SEES`.
        hidden_size: see `RecurrentPolicyConfig`.
        recurrent: likewise.
        seed: of the weights; the global generator is left alone.
        **more: further fields of `RecurrentPolicyConfig`.
    """
    extra = tuple(name for name in sees if name in EXTRA_OBSERVATIONS)
    spaces = dataclasses.replace(task, observe=extra).observation_space
    config = RecurrentPolicyConfig(
        {name: tuple(spaces[name].shape or ()) for name in sees},
        task.actions.grid_size,
        hidden_size,
        recurrent,
        **more,
    )
    with torch.random.fork_rng():  # weights are drawn from the global generator
        torch.manual_seed(seed)
        return RecurrentPolicyNetwork(config).to(task.device)


class EpisodeSchedule:
    """Which images a learner runs episodes on, update by update.

    Args:
        task: what is learned.
        phase: the learner's name; each has its own order of images.
        num_envs: episodes in a batch.
        epochs: passes over the images, if `updates` does not say otherwise.
        updates: batches in all; None for all of the epochs.
        seed: of the order, the images' augmentation and the generators.

    Attributes:
        epochs: passes over the images that are begun.
        steps_per_epoch: updates in a pass.
        samples_per_step: actions in an update.
    """

    def __init__(
        self, task: Task, phase: str, *, num_envs: int, epochs: int, updates: int | None, seed: int
    ) -> None:
        self.steps_per_epoch = steps_in_epoch(len(task.dataset), num_envs)
        self._total = updates or epochs * self.steps_per_epoch
        self.epochs = -(-self._total // self.steps_per_epoch)
        batch_size = min(num_envs, len(task.dataset))
        self.samples_per_step = batch_size * (task.rules.sequence_length - 1)
        self._task, self._phase, self._num_envs, self._seed = task, phase, num_envs, seed

    def epoch(self, number: int) -> Iterator[tuple[float, Batch, torch.Generator]]:
        """Yield what each update of an epoch, counted from 0, begins with.

        That is the share of all updates that are done, in [0, 1), a batch of images, and the
        epoch's generator, on the task's device.
        """
        device = self._task.device
        seed = epoch_seed(self._seed, self._phase, number)
        generator = torch.Generator(device).manual_seed(seed)
        indices = epoch_indices(len(self._task.dataset), self._num_envs, seed)
        batches = self._task.images.batches(indices, augmentation_seed=seed)
        first = number * self.steps_per_epoch
        for done, batch in zip(range(first, self._total), batches, strict=False):
            yield done / self._total, batch, generator


def follow_schedules(
    network: RecurrentPolicyNetwork,
    optimiser: torch.optim.Optimizer,
    progress: float,
    *,
    learning_rate: float,
    anneal_lr: bool,
    std: float,
    final_std: float | None,
) -> Figures:
    """Set learning rate and width for an update; return them by name.

    Args:
        network: its actor's width is set, unless it is learned.
        optimiser: its learning rate is set.
        progress: share of all updates that are done, in [0, 1).
        learning_rate: at first.
        anneal_lr: let it fall linearly to zero.
        std: at first.
        final_std: where it is led linearly; None: it is learned.
    """
    rate = learning_rate * (1 - progress if anneal_lr else 1)
    for group in optimiser.param_groups:
        group["lr"] = rate
    figures = {"charts/learning_rate": torch.tensor(rate, dtype=torch.float64)}
    actor = network.actor
    if not isinstance(actor, GaussianActor):
        return figures
    if final_std is not None:
        width = std + progress * (final_std - std)
        actor.log_std.requires_grad_(False).fill_(math.log(width))
    return {**figures, "charts/std": actor.log_std.detach().exp().mean()}


class Rollout(NamedTuple):
    """One batch of whole episodes; A = T - 1 actions.

    Attributes:
        seen: (A, n, ...) float32 each, by name, what the policy saw.
        actions: (A, n, 2) float32 locations, not clipped, or (A, n) int64 grid indices.
        log_probs: (A, n), of the actions under the policy that chose them.
        values: (A, n), what it expected.
        rewards: (A, n).
        active: (A, n) bool, whether the episode was still running when the action was taken.
        correct: (n,) bool, the classifier when the episode ended.
    """

    seen: dict[str, torch.Tensor]
    actions: torch.Tensor
    log_probs: torch.Tensor
    values: torch.Tensor
    rewards: torch.Tensor
    active: torch.Tensor
    correct: torch.Tensor

    def figures(self) -> Figures:
        """Return how the episodes went, by name."""
        return {
            "charts/episodic_return": (self.rewards * self.active).sum(0).mean(),
            "charts/accuracy": self.correct.float().mean(),
        }


@torch.no_grad()
def collect(
    task: Task, network: RecurrentPolicyNetwork, batch: Batch, generator: torch.Generator
) -> Rollout:
    """Run one episode on each image with sampled actions.

    Episodes that end early are stepped on with the others; `Rollout.active` says which counts.

    Args:
        task: what is played.
        network: the policy, on the task's device.
        batch: images of the task's source and labels, likewise.
        generator: of the actions, likewise.
    """
    state = task.reset(batch.images, batch.labels)
    memory = network.initial_state(len(batch.labels))
    active = torch.ones_like(batch.labels, dtype=torch.bool)
    correct = torch.zeros_like(active)
    seen, columns = [], []
    for _ in range(task.rules.sequence_length - 1):
        shown = task.observation_tensors(state, network.observe)
        seen.append({name: shown[name] for name in network.config.shapes})
        choice, values, memory = network(shown, memory)
        actions = network.actor.sample(choice, generator)
        log_probs = network.actor.log_prob(choice, actions)
        state, rewards, terminated = task.step(state, task.actions.look(actions))
        columns.append((actions, log_probs, values, rewards, active))
        correct = torch.where(active, episodes.readout(state).correct, correct)
        active = active & ~terminated
    actions, log_probs, values, rewards, active = map(torch.stack, zip(*columns, strict=True))
    shown = {name: torch.stack([each[name] for each in seen]) for name in seen[0]}
    return Rollout(shown, actions, log_probs, values, rewards, active, correct)


def locations(task: Task, actions: torch.Tensor) -> torch.Tensor:
    """Return where to look, (n, 2) in [0, 1], for what the actor chose; see `Rollout.actions`."""
    return task.actions.look(actions).locations


def check_config(
    config: object,
    *,
    positive: Sequence[str],
    fractions: Sequence[str],
    non_negative: Sequence[str],
) -> None:
    """Check a learner's settings by name; None passes.

    Raises:
        ValueError: one outside its range, or NaN.
    """
    ranges = (
        *((name, 0.0, math.inf, "0 or more") for name in non_negative),
        *((name, 0.0, 1.0, "in [0, 1]") for name in fractions),
        *((name, sys.float_info.min, math.inf, "positive") for name in positive),
    )
    for name, least, most, expected in ranges:
        value = getattr(config, name)
        if value is not None and not least <= value <= most:
            raise ValueError(f"{name} must be {expected}, got {value}")
