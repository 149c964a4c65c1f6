"""What learners share that learn from episodes their policy has just run.

Which images the episodes are run on, the episodes themselves in one batch on the network's device,
a new policy network, and what changes between the first and last update. The learners are one file
each, with their own settings and losses. Observations, actions and rewards stay on the device,
without NumPy in between.
"""

import abc
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from typing_extensions import override

from agents.learners.architectures.base import Architecture
from agents.learners.base import Metrics, OnUpdate, set_learning_rate, stack
from agents.learners.resumable import NetworkLearner
from agents.learners.supervisor import Supervisor, run_updates
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from agents.policies.base import Policy
from gf_env.configuration import Fraction, added, configuration
from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.episodes import Episodes
from gf_env.envs.task import Task
from gf_env.training import processes
from gf_env.training.epochs import epoch_indices, epoch_seed, steps_in_epoch


@configuration
class LearnerConfig:
    """Settings of every learner from episodes."""

    epochs: PositiveInt = 10
    """Passes over the images, one update for each batch of episodes."""
    updates: PositiveInt | None = None
    """Batches of episodes to learn from; None for all of the epochs."""
    steps: PositiveInt | None = added(default=None)
    """Actions to take, in the place of both; the last batch may bring a few more."""
    max_seconds: PositiveFloat = math.inf
    """Stop after the update in which this much time has passed."""
    num_envs: PositiveInt = 256
    """Episodes in a batch, over all processes."""
    learning_rate: PositiveFloat = 1e-3
    """Of the optimiser, at the first update."""
    seed: int = 0
    """Of weights, images, actions and all else that is drawn."""

    def __post_init__(self) -> None:
        """Refuse two lengths."""
        if self.updates is not None and self.steps is not None:
            raise ValueError(
                f"steps must be left out where updates are given, or updates; got {self.steps} and "
                f"{self.updates}"
            )


@configuration
class EpisodeSettings(LearnerConfig, Architecture):
    """Settings of every learner that trains an actor-critic on episodes, of any architecture."""

    anneal_lr: bool = True
    """Let the learning rate fall linearly to zero at the last update."""
    max_grad_norm: PositiveFloat | None = 0.5
    """Gradients longer than this are scaled down to it; None: they are not."""


@configuration
class RewardSettings(EpisodeSettings):
    """Settings of every learner that trains an actor-critic from rewards."""

    gamma: Fraction = 0.7
    """Discount."""
    vf_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    ent_coef: NonNegativeFloat = 0.0
    """Weight of the entropy bonus, at the first update. The entropy has no gradient where locations
    have a width that is led."""
    final_ent_coef: NonNegativeFloat | None = added(default=None)
    """Where it is led linearly until the last update; None: it stays."""

    def ent_coef_at(self, progress: float) -> float:
        """Return the weight of the entropy bonus after a share of all updates."""
        last = self.ent_coef if self.final_ent_coef is None else self.final_ent_coef
        return self.ent_coef + progress * (last - self.ent_coef)


class Rollout(NamedTuple):
    """One batch of whole episodes; A = T - 1 actions.

    Attributes:
        perceived: (A, n, ...) each, by name, what the policy's network made of what it saw, see
            `agents.policies.actor_critic.ActorCritic.perceive`.
        actions: (A, n, 2) float32 locations, not clipped, or (A, n) int64 grid indices; where the
            task has stop, what `gf_env.envs.actions.ActionCodec.look` takes then.
        log_probs: (A, n), of the actions under the policy that chose them.
        values: (A, n), what it expected.
        rewards: (A, n).
        active: (A, n) bool, whether the episode was still running when the action was taken.
        correct: (n,) bool, the classifier when the episode ended.
        looks: (n,) int64, how many the episode had, glance included.
    """

    perceived: dict[str, torch.Tensor]
    actions: torch.Tensor
    log_probs: torch.Tensor
    values: torch.Tensor
    rewards: torch.Tensor
    active: torch.Tensor
    correct: torch.Tensor
    looks: torch.Tensor


_Network = TypeVar("_Network", bound=nn.Module)
_Config = TypeVar("_Config", bound=LearnerConfig)
_EpisodeSettings = TypeVar("_EpisodeSettings", bound=EpisodeSettings)
_RewardSettings = TypeVar("_RewardSettings", bound=RewardSettings)


class EpisodeLearner(NetworkLearner[_Network, _Config], abc.ABC, Generic[_Network, _Config]):
    """A learner between two updates; see `agents.learners.resumable.Resumable`.

    Args:
        task: what to learn.
        config: settings.
        phase: the learner's name; each has its own order of images.
        network: on the task's device.
        optimiser: of its weights.
        workers: processes that read images ahead.
        augment: run episodes on varied copies of the images, where the data set has them.

    Attributes:
        epochs: passes over the images that are begun.
        steps_per_epoch: updates in a pass.
        samples_per_step: actions in an update.
        total: updates in all.
    """

    def __init__(
        self,
        task: Task,
        config: _Config,
        phase: str,
        network: _Network,
        optimiser: torch.optim.Optimizer,
        *,
        workers: int = 0,
        augment: bool = True,
    ) -> None:
        count = len(task.dataset)
        self.steps_per_epoch = steps_in_epoch(count, config.num_envs)
        self.samples_per_step = min(config.num_envs, count) * (task.rules.sequence_length - 1)
        self.total = config.updates or config.epochs * self.steps_per_epoch
        if config.steps is not None:
            self.total = math.ceil(config.steps / self.samples_per_step)
        self.epochs = math.ceil(self.total / self.steps_per_epoch)
        super().__init__(task, config, phase, network, optimiser)
        self._workers, self._augment = workers, augment
        self._generator = torch.Generator(task.device)

    def run(self, on_update: OnUpdate | None, supervisor: Supervisor | None = None) -> None:
        """Run all updates, or those that end in time; call `on_update` after each."""
        run_updates(self, self._config.max_seconds, on_update, supervisor)

    def steps_after(self, number: int) -> int:
        """Return how many actions are taken in so many updates."""
        return number * self.samples_per_step

    def updates_left(self) -> Iterator[Metrics]:
        """Yield the metrics of each update that is left."""
        for epoch in range(self._done // self.steps_per_epoch, self.epochs):
            yield from self.updates(epoch)

    def updates(self, epoch: int) -> Iterator[Metrics]:
        """Yield the metrics of each update of an epoch, counted from 0.

        Those that were done before a state was loaded are left out.
        """
        seed = epoch_seed(self._config.seed, self._name, epoch)
        first = epoch * self.steps_per_epoch
        done = self._done - first
        if not 0 < done < self.steps_per_epoch:  # else it goes on where the state was
            done = 0
            self._generator.manual_seed(seed + processes.rank())
        indices = epoch_indices(len(self._task.dataset), self._config.num_envs, seed)
        batches = self._task.images.batches(
            itertools.islice(indices, done, None),
            workers=self._workers,
            augmentation_seed=seed if self._augment else None,
        )
        for number, batch in zip(range(first + done, self.total), batches, strict=False):
            self._network.train()  # whoever looks at the policy evaluates it
            metrics = self._update(number / self.total, batch, self._generator)
            self._done = number + 1
            yield metrics

    @override
    def state(self) -> dict[str, Any]:
        return {**super().state(), "generator": self._generator.get_state()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if "generator" in state:
            self._generator.set_state(state["generator"])

    @abc.abstractmethod
    def policy(self) -> Policy:
        """Return the policy as it is now."""

    @abc.abstractmethod
    def _update(self, progress: float, batch: Batch, generator: torch.Generator) -> Metrics:
        """Run a batch of episodes, learn from it, and return metrics.

        Args:
            progress: share of all updates that are done, in [0, 1).
            batch: images, on the task's device.
            generator: of all that is drawn, likewise.
        """


class ActorCriticLearner(EpisodeLearner[ActorCritic, _EpisodeSettings]):
    """An `EpisodeLearner` of an actor-critic, of the architecture that its settings say.

    Args:
        task: what to learn.
        config: settings.
        phase: the learner's name.
        optimiser: makes it of weights and a learning rate.
    """

    def __init__(
        self,
        task: Task,
        config: _EpisodeSettings,
        phase: str,
        optimiser: Callable[..., torch.optim.Optimizer],
    ) -> None:
        self._policy = config.new_policy(task, config.seed)
        network = self._policy.network
        weights = optimiser(network.parameters(), config.learning_rate)
        super().__init__(task, config, phase, network, weights)

    def policy(self) -> ActorCriticPolicy[Any]:
        """Return the policy as it is now."""
        return type(self._policy)(self._network, self._config.seed)

    def _anneal_rate(self, progress: float) -> Metrics:
        """Set the learning rate for an update; return it by name."""
        share = 1 - progress if self._config.anneal_lr else 1
        return set_learning_rate(self._optimiser, self._config.learning_rate * share)


class RewardLearner(ActorCriticLearner[_RewardSettings]):
    """An `ActorCriticLearner` from rewards."""

    def _update(self, progress: float, batch: Batch, generator: torch.Generator) -> Metrics:
        led = self._config.lead(self._network, progress)
        schedules = {**self._anneal_rate(progress), **led}
        rollout = collect(self._task, self._network, batch, generator)
        learned = self._learn(rollout, self._config.ent_coef_at(progress), generator)
        episodes = episode_metrics(rollout.rewards, rollout.active, rollout.correct, rollout.looks)
        return {**episodes, **schedules, **learned}

    @abc.abstractmethod
    def _learn(self, rollout: Rollout, ent_coef: float, generator: torch.Generator) -> Metrics:
        """Learn from a batch of episodes; return its losses by name."""


def collect(task: Task, network: ActorCritic, batch: Batch, generator: torch.Generator) -> Rollout:
    """Run one episode on each image with sampled actions.

    Args:
        task: what is played.
        network: the policy, on the task's device.
        batch: of the task's images, likewise.
        generator: of the actions, likewise.
    """

    def act(state: Episodes, choice: torch.Tensor, values: torch.Tensor) -> Acted:
        actions = network.actor.sample(choice, generator)
        log_probs = network.actor.log_prob(choice, actions)
        return actions, {"actions": actions, "log_probs": log_probs, "values": values}

    return Rollout(**run_episodes(task, network, batch, act, generator))


Acted = tuple[torch.Tensor, dict[str, torch.Tensor]]
"""Actions of n episodes, as `Rollout` has them, and what is kept of the step, (n, ...) by name."""


@torch.no_grad()
def run_episodes(
    task: Task,
    network: ActorCritic,
    batch: Batch,
    act: Callable[[Episodes, torch.Tensor, torch.Tensor], Acted],
    generator: torch.Generator,
) -> dict[str, Any]:
    """Run one episode on each image.

    Episodes that end early are stepped on with the others, unless they stopped; `active` says which
    actions count.

    Args:
        task: what is played.
        network: the policy, on the task's device.
        batch: of the task's images, likewise.
        act: chooses, by n episodes, what the actor returned (n, ...) and values (n,).
        generator: of the noise that the network learns with, likewise.

    Returns:
        `perceived`, `rewards`, `active`, `correct` and `looks` as `Rollout` has them, and what
        `act` kept, (A, n, ...) each, by name.
    """
    state = task.reset(batch.images, batch.labels)
    memory = network.initial_state(len(batch.labels))
    active = torch.ones_like(batch.labels, dtype=torch.bool)
    correct, looks = torch.zeros_like(active), torch.ones_like(batch.labels)
    perceived, steps = [], []
    for _ in range(task.rules.sequence_length - 1):
        shown = task.observation_tensors(state, network.observe)
        perceived.append(network.perceive(shown, generator))
        choice, values, memory = network.act(perceived[-1], memory)
        actions, kept = act(state, choice, values)
        state, rewards, terminated = task.step(state, task.actions.look(actions))
        steps.append({**kept, "rewards": rewards, "active": active})
        correct = torch.where(active, episodes.readout(state).correct, correct)
        looks = looks + (active & ~state.stopped)
        active = active & ~terminated
    return {"perceived": stack(perceived), "correct": correct, "looks": looks, **stack(steps)}


def episode_metrics(
    rewards: torch.Tensor, active: torch.Tensor, correct: torch.Tensor, looks: torch.Tensor
) -> Metrics:
    """Return how a batch of episodes went, by name; arguments as `Rollout` has them."""
    return {
        "charts/episodic_return": (rewards * active).sum(0).mean(),
        "charts/accuracy": correct.float().mean(),
        "charts/looks": looks.float().mean(),
    }
