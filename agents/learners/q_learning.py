"""Q-learning on episodes that are kept, for policies of any architecture that number patches.

What DQN learns (Mnih et al. 2015), by the means of "Reinforcement Learning with Deep Energy-Based
Policies" (Haarnoja et al. 2017, arXiv 1702.08165): the policy takes an action with a probability
that grows with its value, pi(a) = exp((Q(a) - V) / t). So an actor-critic is a network of values,
Q(a) = V + t log pi(a), with V as in dueling networks (Wang et al. 2016, arXiv 1511.06581), and
exploring is to sample from it. Each action's value is led to its reward and the discounted value of
the policy after it, which a slowly following copy of the network says.

Unlike there, t is a share of V. Once the digit is found all patches are worth nothing, but logits
that are sums of what looks say stay as far apart as they were: with one t for all states they could
be right either before or after. A look's gain is what is to be had, V, by how likely it is there.

Whole episodes are kept and learned from again, whatever policy ran them: unlike the other learners
from rewards this one is off-policy. The paper's policies learn from their own episodes (section
3.2). What comes after an episode's end is masked out.
"""

import copy
import functools
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from typing_extensions import override

from agents.learners.architectures.recurrent import RecurrentWithMap
from agents.learners.base import Metrics, OnUpdate, gradient_step, stack
from agents.learners.kept_batches import KeptBatches
from agents.learners.masked_statistics import explained_variance, masked_mean
from agents.learners.on_policy import (
    ActorCriticLearner,
    EpisodeSettings,
    Rollout,
    collect,
    episode_metrics,
)
from agents.learners.returns import td_targets
from agents.learners.supervisor import Supervisor
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from gf_env.configuration import Fraction, configuration
from gf_env.datasets.batches import Batch
from gf_env.envs.task import Task

PHASE = "q_learning"
_LEAST_VALUE = 0.02
"""In confidence: what a state counts for that is worth less, or that nothing is known of yet."""


@configuration
class QSettings(EpisodeSettings):
    """The learner's settings, for any architecture."""

    epochs: PositiveInt = 10
    num_envs: PositiveInt = 512
    gamma: Fraction = 0.95
    """Discount."""
    kept_batches: PositiveInt = 32
    """How many batches of episodes are kept, the newest among them."""
    gradient_steps: PositiveInt = 8
    """In an update: one on the newest batch, the others on batches drawn from those kept."""
    weight_decay: NonNegativeFloat = 0.01
    """AdamW's."""
    temperature: PositiveFloat = 0.15
    """Share of a state's value that an action falls short of where it is tried 1/e as often."""
    target_rate: Fraction = 0.02
    """Share by which the copy that says what follows is led to the network in a gradient step."""


@configuration
class QConfig(RecurrentWithMap, QSettings):
    """Settings of Q-learning by a policy with a map of what each look left."""


def train(
    task: Task,
    config: QSettings | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> ActorCriticPolicy[Any]:
    """Train a policy of the architecture in the settings; see `agents.learners.base`.

    Raises:
        ValueError: the task's actions are continuous.
    """
    learner = QLearner(task, config or QConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class QLearner(ActorCriticLearner[QSettings]):
    """The learner between two updates, with the batches kept and the copy that follows."""

    def __init__(self, task: Task, config: QSettings) -> None:
        task.actions.require_grid("Q-learning gives each patch of a grid a value")
        super().__init__(
            task,
            config,
            PHASE,
            functools.partial(torch.optim.AdamW, weight_decay=config.weight_decay),
        )
        self._following = copy.deepcopy(self._network).requires_grad_(False)
        self._kept = KeptBatches(Rollout, config.kept_batches)

    def _update(self, progress: float, batch: Batch, generator: torch.Generator) -> Metrics:
        rate = self._anneal_rate(progress)
        rollout = collect(self._task, self._network, batch, generator)
        self._kept.add(rollout)
        steps = [
            self._step(each) for each in self._kept.drawn(self._config.gradient_steps, generator)
        ]
        return {
            **episode_metrics(rollout.rewards, rollout.active, rollout.correct, rollout.looks),
            **rate,
            **{name: values.mean() for name, values in stack(steps).items()},
        }

    def _step(self, rollout: Rollout) -> Metrics:
        """Take a gradient step, and lead the copy a little way; return losses by name."""
        config = self._config
        loss, metrics = losses(self._network, self._following, rollout, config)
        gradient_step(self._network, self._optimiser, loss, config.max_grad_norm)
        with torch.no_grad():
            pairs = zip(self._following.parameters(), self._network.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, config.target_rate)
        return metrics

    @override
    def state(self) -> dict[str, Any]:
        following = self._following.state_dict()
        return {**super().state(), "kept": self._kept.state(), "following": following}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._kept.load_state(state["kept"], self._task.device)
        self._following.load_state_dict(state["following"])


def losses(
    network: ActorCritic, following: ActorCritic, rollout: Rollout, config: QSettings
) -> tuple[torch.Tensor, Metrics]:
    """Return the loss of a batch and, by name, what it is made of.

    Args:
        network: that learns.
        following: says what is to be expected after an action.
        rollout: of any policy.
        config: settings.
    """
    active = rollout.active
    choice, values = network.replay(rollout.perceived)
    log_probs = network.actor.log_prob(choice, rollout.actions)
    worth = values + _temperature(values, config) * log_probs
    targets = rollout.rewards if config.gamma == 0 else _targets(following, rollout, config)
    loss = masked_mean((worth - targets).square(), active)
    with torch.no_grad():
        entropy = masked_mean(network.actor.entropy(choice), active)
        explained = explained_variance(targets, worth, active)
    found = {"loss": loss.detach(), "entropy": entropy, "explained_variance": explained}
    return loss, {f"losses/{name}": value for name, value in found.items()}


@torch.no_grad()
def _targets(following: ActorCritic, rollout: Rollout, config: QSettings) -> torch.Tensor:
    """Return the rewards with what the policy is worth after them, (A, n)."""
    choice, values = following.replay(rollout.perceived)
    expected = values - _temperature(values, config) * following.actor.entropy(choice)
    return td_targets(rollout.rewards, expected, rollout.active, config.gamma)


def _temperature(values: torch.Tensor, config: QSettings) -> torch.Tensor:
    """Return what a logarithm of a probability counts for, in states of such values."""
    return config.temperature * values.detach().clamp_min(_LEAST_VALUE)
