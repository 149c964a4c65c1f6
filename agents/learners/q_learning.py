"""Q-learning on episodes that are kept, for policies of any architecture that number patches.

What DQN learns (Mnih et al. 2015), by the means of "Reinforcement Learning with Deep Energy-Based
Policies" (Haarnoja et al. 2017, arXiv 1702.08165): the policy takes an action with a probability
that grows with its value, pi(a) = exp((Q(a) - V) / temperature). So an actor-critic is a network of
values, Q(a) = V + temperature log pi(a), with V as in dueling networks (Wang et al. 2016, arXiv
1511.06581), and exploring is to sample from it. Each action's value is led to its reward and the
discounted V after it, which a slowly following copy of the network says. The temperature falls, and
with it what a choice left open counts for.

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
    temperature: PositiveFloat = 0.05
    """How much less an action may be worth and still be tried, at the first update."""
    final_temperature: PositiveFloat = 0.005
    """Where it is led linearly until the last update."""
    target_rate: Fraction = 0.02
    """Share by which the copy that says what follows is led to the network in a gradient step."""

    def temperature_at(self, progress: float) -> float:
        """Return the temperature after a share of all updates."""
        return self.temperature + progress * (self.final_temperature - self.temperature)


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
        temperature = self._config.temperature_at(progress)
        rollout = collect(self._task, self._network, batch, generator)
        self._kept.add(rollout)
        steps = [
            self._step(each, temperature)
            for each in self._kept.drawn(self._config.gradient_steps, generator)
        ]
        return {
            **episode_metrics(rollout.rewards, rollout.active, rollout.correct, rollout.looks),
            "charts/temperature": torch.tensor(temperature, dtype=torch.float64),
            **rate,
            **{name: values.mean() for name, values in stack(steps).items()},
        }

    def _step(self, rollout: Rollout, temperature: float) -> Metrics:
        """Take a gradient step, and lead the copy a little way; return losses by name."""
        config = self._config
        loss, metrics = losses(self._network, self._following, rollout, config, temperature)
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
    network: ActorCritic,
    following: ActorCritic,
    rollout: Rollout,
    config: QSettings,
    temperature: float,
) -> tuple[torch.Tensor, Metrics]:
    """Return the loss of a batch and, by name, what it is made of.

    Args:
        network: that learns.
        following: says what is to be expected after an action.
        rollout: of any policy.
        config: settings.
        temperature: what a logarithm of a probability counts for.
    """
    active = rollout.active
    choice, values = network.replay(rollout.perceived)
    log_probs = network.actor.log_prob(choice, rollout.actions)
    with torch.no_grad():
        _, expected = following.replay(rollout.perceived)
        targets = td_targets(rollout.rewards, expected, active, config.gamma)
    worth = values + temperature * log_probs
    loss = masked_mean((worth - targets).square(), active)
    with torch.no_grad():
        entropy = masked_mean(network.actor.entropy(choice), active)
        explained = explained_variance(targets, worth, active)
    found = {"loss": loss.detach(), "entropy": entropy, "explained_variance": explained}
    return loss, {f"losses/{name}": value for name, value in found.items()}
