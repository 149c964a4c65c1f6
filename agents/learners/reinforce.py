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

from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from agents.learners.architectures.recurrent import RecurrentWithWidth
from agents.learners.base import Metrics, OnUpdate, gradient_step
from agents.learners.masked_statistics import explained_variance, masked_mean
from agents.learners.on_policy import RewardLearner, RewardSettings, Rollout
from agents.learners.returns import Baseline, expected_returns, returns_to_go
from agents.learners.supervisor import Supervisor
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from gf_env.configuration import configuration
from gf_env.envs.task import Task

PHASE = "reinforce"


@configuration
class ReinforceSettings(RewardSettings):
    """The learner's settings, for any architecture; an update is one gradient step."""

    epochs: PositiveInt = 25
    learning_rate: PositiveFloat = 3e-3
    ent_coef: NonNegativeFloat = 0.01
    baseline: Baseline = "value"
    """What returns are compared with: "value", the critic's, which is learned; "batch_mean", the
    mean over the batch at that step; "none". The critic is not trained with the last two."""


@configuration
class ReinforceConfig(RecurrentWithWidth, ReinforceSettings):
    """Settings of REINFORCE with a recurrent policy."""

    final_std: PositiveFloat | None = 0.05


def train(
    task: Task,
    config: ReinforceSettings | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> ActorCriticPolicy[Any]:
    """Train a policy of the architecture in the settings; see `agents.learners.base`."""
    learner = ReinforceLearner(task, config or ReinforceConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class ReinforceLearner(RewardLearner[ReinforceSettings]):
    """The learner between two updates."""

    def __init__(self, task: Task, config: ReinforceSettings) -> None:
        super().__init__(task, config, PHASE, torch.optim.Adam)

    def _learn(self, rollout: Rollout, ent_coef: float, generator: torch.Generator) -> Metrics:
        return update(self._network, self._optimiser, rollout, self._config, ent_coef)


def update(
    network: ActorCritic,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: ReinforceSettings,
    ent_coef: float,
) -> Metrics:
    """Take the one gradient step that a batch is used for; return its losses by name."""
    loss, metrics = losses(network, rollout, config, ent_coef)
    gradient_step(network, optimiser, loss, config.max_grad_norm)
    return metrics


def losses(
    network: ActorCritic, rollout: Rollout, config: ReinforceSettings, ent_coef: float
) -> tuple[torch.Tensor, Metrics]:
    """Return the loss of a batch and, by name, what it is made of."""
    active = rollout.active
    choice, values = network.replay(rollout.perceived)
    log_probs = network.actor.log_prob(choice, rollout.actions)
    returns = returns_to_go(rollout.rewards, active, config.gamma)
    advantages = returns - expected_returns(config.baseline, returns, values.detach(), active)
    policy_loss = -masked_mean(advantages * log_probs, active)
    entropy = masked_mean(network.actor.entropy(choice), active)
    loss = policy_loss - ent_coef * entropy
    metrics = {"losses/policy_loss": policy_loss, "losses/entropy": entropy}
    if config.baseline == "value":
        value_loss = masked_mean((values - returns).square(), active)
        loss = loss + config.vf_coef * value_loss
        metrics["losses/value_loss"] = value_loss
        metrics["losses/explained_variance"] = explained_variance(returns, values, active)
    metrics["losses/loss"] = loss
    return loss, {name: value.detach() for name, value in metrics.items()}
