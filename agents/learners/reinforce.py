"""REINFORCE with baseline (Williams 1992; Sutton & Barto, second edition, section 13.4).

The plain policy gradient: whole episodes are run, and each action's log-probability is pushed up by
how much more the rewards from then on came to than a baseline says. One gradient step is taken on
each batch of episodes, which is then thrown away: no ratio, no clipping, no bootstrapping from
values, no normalised advantages. What the paper calls PPO (`agents.learners.paper_ppo`) is of this
kind.

It departs from the book in three habits of practice. The factor gamma^t on each step's gradient is
left out, so that late actions count as much as early ones. Actor and baseline share layers and one
optimiser, Adam, on batches of episodes. And there may be an entropy bonus.

An episode may end early, at `exit_thresholds`; what comes after its end is masked out of it all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from agents.learners.base import Update, run_updates
from agents.learners.masked_statistics import discounted_returns, explained_variance, masked_mean
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

PHASE = "reinforce"
BASELINES = ("value", "batch_mean", "none")


@dataclass(frozen=True)
class ReinforceConfig:
    """The learner's settings."""

    epochs: int = 25
    """Passes over the images, one gradient step for each batch of episodes."""
    updates: int | None = None
    """Gradient steps; None for all of the epochs."""
    max_seconds: float = math.inf
    """Stop after the update in which this much time has passed."""
    num_envs: int = 256
    """Episodes in a batch."""
    learning_rate: float = 3e-3
    """Adam's, at first."""
    anneal_lr: bool = True
    """Let the learning rate fall linearly to zero at the last update."""
    gamma: float = 0.7
    """Discount."""
    baseline: str = "value"
    """What returns are compared with: "value", the critic's, which is learned; "batch_mean", the
    mean over the batch at that step; "none". The critic is not trained with the last two."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    ent_coef: float = 0.01
    """Weight of the entropy bonus, which has no gradient where `final_std` leads the width."""
    max_grad_norm: float | None = 0.5
    """Gradients longer than this are scaled down to it; None: they are not."""
    std: float = 0.2
    """First standard deviation of locations, as a fraction of the way a patch can travel."""
    final_std: float | None = 0.05
    """Where it is led linearly until the last update; None: it is learned."""
    sees: tuple[str, ...] = ("features", "hidden_state")
    """Observations that the policy gets, out of `agents.policies.recurrent_network.SEES`."""
    hidden_size: int = 128
    """Of the policy's layers and memory."""
    recurrent: bool = True
    """With a memory of its own."""
    seed: int = 0
    """Of weights, images and actions."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        check_sees(self.sees)
        object.__setattr__(self, "sees", tuple(self.sees))  # JSON has lists only
        check_config(
            self,
            positive=_POSITIVE,
            fractions=("gamma",),
            non_negative=("vf_coef", "ent_coef"),
        )
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline must be one of {list(BASELINES)}, got {self.baseline!r}")


_POSITIVE = (
    *("epochs", "updates", "max_seconds", "num_envs", "learning_rate", "max_grad_norm"),
    *("std", "final_std", "hidden_size"),
)


def train(
    task: Task,
    config: ReinforceConfig | None = None,
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
    config = ReinforceConfig() if config is None else config
    learner = ReinforceLearner(task, config)
    run_updates(learner, config.max_seconds, on_update)
    return learner.policy()


class ReinforceLearner:
    """The learner between two updates: policy, optimiser, and what comes next.

    Args:
        task: what to learn.
        config: settings.

    Attributes:
        epochs: passes over the images that are begun.
        steps_per_epoch: updates in a pass.
        samples_per_step: actions in an update.
    """

    def __init__(self, task: Task, config: ReinforceConfig) -> None:
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
        self._optimiser = torch.optim.Adam(self._network.parameters(), config.learning_rate)

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
            learned = update(self._network, self._optimiser, rollout, config)
            yield {**rollout.figures(), **chosen, **learned}

    def policy(self) -> RecurrentPolicy:
        """Return the policy as it is now."""
        return RecurrentPolicy(self._network.eval(), self._config.seed)


def update(
    network: RecurrentPolicyNetwork,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: ReinforceConfig,
) -> Figures:
    """Take the one gradient step that a batch is used for; return its losses by name."""
    loss, figures = losses(network, rollout, config)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if config.max_grad_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
    optimiser.step()
    return figures


def losses(
    network: RecurrentPolicyNetwork, rollout: Rollout, config: ReinforceConfig
) -> tuple[torch.Tensor, Figures]:
    """Return the loss of a batch and, by name, what it is made of."""
    active = rollout.active
    choice, values = network.replay(rollout.seen)
    log_probs = network.actor.log_prob(choice, rollout.actions)
    returns = returns_to_go(rollout.rewards, active, config.gamma)
    advantages = returns - expected_returns(config.baseline, returns, values.detach(), active)
    policy_loss = -masked_mean(advantages * log_probs, active)
    entropy = masked_mean(network.actor.entropy(choice), active)
    loss = policy_loss - config.ent_coef * entropy
    figures = {"losses/policy_loss": policy_loss, "losses/entropy": entropy}
    if config.baseline == "value":
        value_loss = masked_mean((values - returns).square(), active)
        loss = loss + config.vf_coef * value_loss
        figures["losses/value_loss"] = value_loss
        figures["losses/explained_variance"] = explained_variance(returns, values, active)
    figures["losses/loss"] = loss
    return loss, {name: value.detach() for name, value in figures.items()}


def returns_to_go(rewards: torch.Tensor, active: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return G_t, the discounted rewards from each action to the episode's end.

    Args:
        rewards: (A, n).
        active: (A, n) bool; rewards count until the episode had ended.
        gamma: discount.

    Returns:
        (A, n); 0 where the episode had ended.
    """
    return discounted_returns(torch.where(active, rewards, 0), gamma)


def expected_returns(
    baseline: str, returns: torch.Tensor, values: torch.Tensor, active: torch.Tensor
) -> torch.Tensor:
    """Return what returns are compared with, (A, n).

    Args:
        baseline: see `ReinforceConfig`.
        returns: (A, n).
        values: (A, n), the critic's.
        active: (A, n) bool.
    """
    if baseline == "value":
        return values
    if baseline == "none":
        return torch.zeros_like(returns)
    # an episode is in its own mean, which scales the gradient by (k - 1) / k for k that are running
    running = active.sum(1, keepdim=True).clamp(min=1)  # there may be none left
    return (torch.where(active, returns, 0).sum(1, keepdim=True) / running).expand_as(returns)
