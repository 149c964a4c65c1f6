"""Proximal policy optimisation as it is meant to be, for policies of any architecture.

Where the paper's training (section 3.2, `agents.learners.paper_ppo`) takes one plain gradient step
on each batch, this takes several epochs of minibatches, so that clipping acts; it has an advantage
estimate, an entropy bonus and a width that is learned, and log-probabilities are of what was
sampled, before it is clipped to the image. Minibatches are of whole episodes, which are replayed
from the first step.

An episode may end early, at `exit_thresholds`; it is stepped on with the others, but what comes
after its end is masked out of everything.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from agents.learners.architectures.recurrent import RecurrentWithWidth
from agents.learners.base import Metrics, OnUpdate, gradient_step, stack
from agents.learners.masked_statistics import explained_variance, masked_mean, masked_normalise
from agents.learners.on_policy import RewardLearner, RewardSettings, Rollout
from agents.learners.returns import estimate_advantages
from agents.learners.supervisor import Supervisor
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from gf_env.configuration import Fraction, added, configuration
from gf_env.envs.task import Task

PHASE = "recurrent_ppo"  # its order of images is that of the first architecture


@configuration
class PPOSettings(RewardSettings):
    """The learner's settings, for any architecture."""

    update_epochs: PositiveInt = 4
    """Passes over each batch."""
    num_minibatches: PositiveInt = 4
    """Gradient steps in a pass, each on other episodes."""
    gae_lambda: Fraction = 0.95
    """Of the generalised advantage estimate."""
    clip_range: PositiveFloat = 0.2
    """How far the ratio may leave 1 before it gains nothing more."""
    clip_range_vf: PositiveFloat | None = None
    """The same for values, in units of returns; None: values are not clipped."""
    weight_decay: NonNegativeFloat = added(default=0.0)
    """AdamW's."""

    def __post_init__(self) -> None:
        """Refuse more minibatches than episodes."""
        super().__post_init__()
        if self.num_minibatches > self.num_envs:
            raise ValueError(
                f"num_minibatches must be at most num_envs, an episode in each; got "
                f"{self.num_minibatches} and {self.num_envs}"
            )


@configuration
class RecurrentPPOConfig(RecurrentWithWidth, PPOSettings):
    """Settings of recurrent PPO."""


class Samples(NamedTuple):
    """What one gradient step is taken on; attributes as of `Rollout`.

    Attributes:
        advantages: (A, n).
        returns: (A, n), what values should be.
    """

    perceived: dict[str, torch.Tensor]
    actions: torch.Tensor
    log_probs: torch.Tensor
    values: torch.Tensor
    active: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor

    def take(self, rows: torch.Tensor) -> Samples:
        """Return the episodes in `rows`, (k,) int64."""
        others = self._asdict()
        perceived = others.pop("perceived")
        return Samples(
            perceived={name: value.index_select(1, rows) for name, value in perceived.items()},
            **{name: value.index_select(1, rows) for name, value in others.items()},
        )


def train(
    task: Task,
    config: PPOSettings | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> ActorCriticPolicy[Any]:
    """Train a policy of the architecture in the settings; see `agents.learners.base`."""
    learner = PPOLearner(task, config or RecurrentPPOConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class PPOLearner(RewardLearner[PPOSettings]):
    """The learner between two updates."""

    def __init__(self, task: Task, config: PPOSettings) -> None:
        adam = functools.partial(
            torch.optim.AdamW, eps=1e-5, weight_decay=config.weight_decay, fused=True
        )
        super().__init__(task, config, PHASE, adam)

    def _learn(self, rollout: Rollout, ent_coef: float, generator: torch.Generator) -> Metrics:
        return update(self._network, self._optimiser, rollout, self._config, ent_coef, generator)


def update(
    network: ActorCritic,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: PPOSettings,
    ent_coef: float,
    generator: torch.Generator,
) -> Metrics:
    """Learn from a batch of episodes; return its losses by name, means over all gradient steps."""
    samples = prepare(rollout, config)
    count = len(rollout.correct)
    steps = []
    for _ in range(config.update_epochs):
        order = torch.randperm(count, generator=generator, device=generator.device)
        for rows in order.tensor_split(min(config.num_minibatches, count)):
            loss, metrics = losses(network, samples.take(rows), config, ent_coef)
            gradient_step(network, optimiser, loss, config.max_grad_norm)
            steps.append(metrics)
    means = {name: values.mean() for name, values in stack(steps).items()}
    explained = explained_variance(samples.returns, samples.values, samples.active)
    return {**means, "losses/explained_variance": explained}


def prepare(rollout: Rollout, config: PPOSettings) -> Samples:
    """Return what is learned from a rollout: its advantages and returns are worked out once."""
    advantages = estimate_advantages(
        rollout.rewards, rollout.values, rollout.active, config.gamma, config.gae_lambda
    )
    return Samples(
        rollout.perceived,
        rollout.actions,
        rollout.log_probs,
        rollout.values,
        rollout.active,
        advantages,
        advantages + rollout.values,
    )


def losses(
    network: ActorCritic, samples: Samples, config: PPOSettings, ent_coef: float
) -> tuple[torch.Tensor, Metrics]:
    """Return the loss of a minibatch and, by name, what it is made of."""
    active = samples.active
    choice, values = network.replay(samples.perceived)
    log_ratio = network.actor.log_prob(choice, samples.actions) - samples.log_probs
    ratio = torch.where(active, log_ratio, 0).exp()
    advantages = masked_normalise(samples.advantages, active)
    surrogate = clipped_surrogate(ratio, advantages, config.clip_range)
    policy_loss = -masked_mean(surrogate, active)
    errors = squared_errors(values, samples.values, samples.returns, config.clip_range_vf)
    value_loss = masked_mean(errors, active)
    entropy = masked_mean(network.actor.entropy(choice), active)
    loss = policy_loss + config.vf_coef * value_loss - ent_coef * entropy
    with torch.no_grad():
        # an estimate without bias and never below zero (Schulman, "Approximating KL divergence")
        approx_kl = masked_mean(ratio - 1 - log_ratio, active)
        clip_fraction = masked_mean(((ratio - 1).abs() > config.clip_range).float(), active)
    metrics = {
        "losses/loss": loss,
        "losses/policy_loss": policy_loss,
        "losses/value_loss": value_loss,
        "losses/entropy": entropy,
        "losses/approx_kl": approx_kl,
        "losses/clip_fraction": clip_fraction,
    }
    return loss, {name: value.detach() for name, value in metrics.items()}


def clipped_surrogate(
    ratio: torch.Tensor, advantages: torch.Tensor, clip_range: float
) -> torch.Tensor:
    """Return PPO's objective of each action, of the arguments' shape."""
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return torch.minimum(ratio * advantages, clipped * advantages)


def squared_errors(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, clip_range: float | None
) -> torch.Tensor:
    """Return the values' squared errors, with clipping those that gain nothing by going further."""
    errors = (values - returns).square()
    if clip_range is None:
        return errors
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return torch.maximum(errors, (clipped - returns).square())
