"""Proximal policy optimisation as it is meant to be, for a policy with a memory.

Where the paper's training (section 3.2, `agents.learners.paper_ppo`) takes one plain gradient step
on each batch, this takes several epochs of minibatches, so that clipping acts; it has an advantage
estimate, an entropy bonus and a width that is learned, and log-probabilities are of what was
sampled, before it is clipped to the image. Minibatches are of whole episodes, in which the memory
is replayed from the first step.

Observations, actions and rewards stay on the network's device, without NumPy in between. An
episode may end early, at `exit_thresholds`; it is stepped on with the others, but what comes after
its end is masked out of everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from agents.learners.base import Update, run_updates
from agents.learners.masked_statistics import explained_variance, masked_mean, masked_normalise
from agents.learners.on_policy import (
    EpisodeSchedule,
    Figures,
    Rollout,
    check_config,
    collect,
    follow_schedules,
    new_network,
)
from agents.policies.recurrent import RecurrentPolicy
from agents.policies.recurrent_network import RecurrentPolicyNetwork, check_sees
from gf_env.envs.task import Task

PHASE = "recurrent_ppo"


@dataclass(frozen=True)
class RecurrentPPOConfig:
    """The learner's settings."""

    epochs: int = 10
    """Passes over the images, one update for each batch of episodes."""
    updates: int | None = None
    """Batches of episodes to learn from; None for all of the epochs."""
    max_seconds: float = math.inf
    """Stop after the update in which this much time has passed."""
    num_envs: int = 256
    """Episodes in a batch."""
    update_epochs: int = 4
    """Passes over each batch."""
    num_minibatches: int = 4
    """Gradient steps in a pass, each on other episodes."""
    learning_rate: float = 1e-3
    """Adam's, at first."""
    anneal_lr: bool = True
    """Let the learning rate fall linearly to zero at the last update."""
    gamma: float = 0.7
    """Discount."""
    gae_lambda: float = 0.95
    """Of the generalised advantage estimate."""
    clip_range: float = 0.2
    """How far the ratio may leave 1 before it gains nothing more."""
    clip_range_vf: float | None = None
    """The same for values, in units of returns; None: values are not clipped."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    max_grad_norm: float | None = 0.5
    """Gradients longer than this are scaled down to it; None: they are not."""
    std: float = 0.2
    """First standard deviation of locations, as a fraction of the way a patch can travel."""
    final_std: float | None = None
    """Where it is led linearly until the last update; None: it is learned."""
    sees: tuple[str, ...] = ("features", "hidden_state")
    """Observations that the policy gets, out of `agents.policies.recurrent_network.SEES`."""
    hidden_size: int = 128
    """Of the policy's layers and memory."""
    recurrent: bool = True
    """With a memory of its own."""
    seed: int = 0
    """Of weights, images, actions and minibatches."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        check_sees(self.sees)
        object.__setattr__(self, "sees", tuple(self.sees))  # JSON has lists only
        check_config(
            self,
            positive=_POSITIVE,
            fractions=("gamma", "gae_lambda"),
            non_negative=("vf_coef", "ent_coef"),
        )
        if self.num_minibatches > self.num_envs:
            raise ValueError(
                f"num_minibatches must be at most num_envs, an episode in each; got "
                f"{self.num_minibatches} and {self.num_envs}"
            )


_POSITIVE = (
    *("epochs", "updates", "max_seconds", "num_envs", "update_epochs", "num_minibatches"),
    *("learning_rate", "clip_range", "clip_range_vf", "max_grad_norm", "std", "final_std"),
    "hidden_size",
)


class Samples(NamedTuple):
    """What one gradient step is taken on; attributes as of `Rollout`.

    Attributes:
        advantages: (A, n).
        returns: (A, n), what values should be.
    """

    seen: dict[str, torch.Tensor]
    actions: torch.Tensor
    log_probs: torch.Tensor
    values: torch.Tensor
    active: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def take(self, rows: torch.Tensor) -> Samples:
        """Return the episodes in `rows`, (k,) int64."""
        others = self._asdict()
        seen = others.pop("seen")
        return Samples(
            seen={name: value.index_select(1, rows) for name, value in seen.items()},
            **{name: value.index_select(1, rows) for name, value in others.items()},
        )


def train(
    task: Task,
    config: RecurrentPPOConfig | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> RecurrentPolicy:
    """Train a recurrent policy.

    Args:
        task: what to learn, with continuous or grid actions; the network's device is used
            throughout.
        config: settings.
        on_update: called after every update.

    Returns:
        The trained policy.
    """
    config = RecurrentPPOConfig() if config is None else config
    learner = RecurrentLearner(task, config)
    run_updates(learner, config.max_seconds, on_update)
    return learner.policy()


class RecurrentLearner:
    """The learner between two updates: policy, optimiser, and what comes next.

    Args:
        task: what to learn.
        config: settings.

    Attributes:
        epochs: passes over the images that are begun.
        steps_per_epoch: updates in a pass.
        samples_per_step: actions in an update.
    """

    def __init__(self, task: Task, config: RecurrentPPOConfig) -> None:
        self._task, self._config = task, config
        self._course = EpisodeSchedule(
            task,
            PHASE,
            num_envs=config.num_envs,
            epochs=config.epochs,
            updates=config.updates,
            seed=config.seed,
        )
        self.epochs = self._course.epochs
        self.steps_per_epoch = self._course.steps_per_epoch
        self.samples_per_step = self._course.samples_per_step
        self._network = new_network(
            task,
            sees=config.sees,
            hidden_size=config.hidden_size,
            recurrent=config.recurrent,
            std=config.std,
            seed=config.seed,
        )
        self._optimiser = torch.optim.Adam(
            self._network.parameters(), config.learning_rate, eps=1e-5
        )

    def updates(self, epoch: int) -> Iterator[Figures]:
        """Yield the figures of each update of an epoch, counted from 0."""
        config = self._config
        self._network.train()
        for progress, batch, generator in self._course.epoch(epoch):
            chosen = follow_schedules(
                self._network,
                self._optimiser,
                progress,
                learning_rate=config.learning_rate,
                anneal_lr=config.anneal_lr,
                std=config.std,
                final_std=config.final_std,
            )
            rollout = collect(self._task, self._network, batch, generator)
            learned = update(self._network, self._optimiser, rollout, config, generator)
            yield {**rollout.figures(), **chosen, **learned}

    def policy(self) -> RecurrentPolicy:
        """Return the policy as it is now."""
        return RecurrentPolicy(self._network.eval(), self._config.seed)


def update(
    network: RecurrentPolicyNetwork,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: RecurrentPPOConfig,
    generator: torch.Generator,
) -> Figures:
    """Learn from a batch of episodes; return its losses by name, means over all gradient steps."""
    samples = prepare(rollout, config)
    count = len(rollout.correct)
    steps = []
    for _ in range(config.update_epochs):
        order = torch.randperm(count, generator=generator, device=generator.device)
        for rows in order.tensor_split(min(config.num_minibatches, count)):
            loss, figures = losses(network, samples.take(rows), config)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if config.max_grad_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
            optimiser.step()
            steps.append(figures)
    means = {name: torch.stack([each[name] for each in steps]).mean() for name in steps[0]}
    explained = explained_variance(samples.returns, samples.values, samples.active)
    return {**means, "losses/explained_variance": explained}


def prepare(rollout: Rollout, config: RecurrentPPOConfig) -> Samples:
    """Return what is learned from a rollout: its advantages and returns are worked out once."""
    advantages = estimate_advantages(
        rollout.rewards, rollout.values, rollout.active, config.gamma, config.gae_lambda
    )
    return Samples(
        rollout.seen,
        rollout.actions,
        rollout.log_probs,
        rollout.values,
        rollout.active,
        advantages,
        advantages + rollout.values,
    )


def estimate_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    active: torch.Tensor,
    gamma: float,
    gae_lambda: float,
) -> torch.Tensor:
    """Return the generalised advantage estimate of whole episodes.

    Args:
        rewards: (A, n).
        values: (A, n), expected before each action.
        active: (A, n) bool; nothing counts from the first action on which the episode had ended.
        gamma: discount.
        gae_lambda: 0 trusts the values, 1 the rewards.

    Returns:
        (A, n); 0 where the episode had ended.
    """
    advantages = torch.zeros_like(rewards)
    following, next_value = torch.zeros_like(rewards[0]), torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        error = rewards[step] + gamma * next_value - values[step]
        following = torch.where(active[step], error + gamma * gae_lambda * following, 0)
        next_value = torch.where(active[step], values[step], 0)
        advantages[step] = following
    return advantages


def losses(
    network: RecurrentPolicyNetwork, samples: Samples, config: RecurrentPPOConfig
) -> tuple[torch.Tensor, Figures]:
    """Return the loss of a minibatch and, by name, what it is made of."""
    active = samples.active
    choice, values = network.replay(samples.seen)
    log_ratio = network.actor.log_prob(choice, samples.actions) - samples.log_probs
    ratio = torch.where(active, log_ratio, 0).exp()
    advantages = masked_normalise(samples.advantages, active)
    surrogate = clipped_surrogate(ratio, advantages, config.clip_range)
    policy_loss = -masked_mean(surrogate, active)
    errors = squared_errors(values, samples.values, samples.returns, config.clip_range_vf)
    value_loss = masked_mean(errors, active)
    entropy = masked_mean(network.actor.entropy(choice), active)
    loss = policy_loss + config.vf_coef * value_loss - config.ent_coef * entropy
    with torch.no_grad():
        # an estimate without bias and never below zero (Schulman, "Approximating KL divergence")
        approx_kl = masked_mean(ratio - 1 - log_ratio, active)
        clip_fraction = masked_mean(((ratio - 1).abs() > config.clip_range).float(), active)
    figures = {
        "losses/loss": loss,
        "losses/policy_loss": policy_loss,
        "losses/value_loss": value_loss,
        "losses/entropy": entropy,
        "losses/approx_kl": approx_kl,
        "losses/clip_fraction": clip_fraction,
    }
    return loss, {name: value.detach() for name, value in figures.items()}


def clipped_surrogate(
    ratio: torch.Tensor, advantages: torch.Tensor, clip_range: float
) -> torch.Tensor:
    """Return PPO's objective of each action, of the arguments' shape."""
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return torch.minimum(ratio * advantages, clipped * advantages)


def squared_errors(
    values: torch.Tensor,
    old_values: torch.Tensor,
    returns: torch.Tensor,
    clip_range: float | None,
) -> torch.Tensor:
    """Return the values' squared errors, with clipping those that gain nothing by going further."""
    errors = (values - returns).square()
    if clip_range is None:
        return errors
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return torch.maximum(errors, (clipped - returns).square())
