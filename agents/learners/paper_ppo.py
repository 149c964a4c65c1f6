"""The paper's training of its policy, stage 2 (section 3.2), as the release does it.

What the paper calls PPO takes one gradient step of one epoch on each batch. The old policy then
equals the new one, so the ratio is always 1, clipping never acts, and the entropy of a Gaussian of
fixed width has no gradient (so its bonus is left out): it is a policy gradient with a learned
baseline. Two more habits of the release are kept because they are part of what was published:
actions are clipped to the image before their log-probability is taken under the unclipped
Gaussian, which biases the gradient at the borders, and advantages are normalised returns minus a
value that regresses on normalised returns.
Source: blackfeather-wang/GFNet-Pytorch at 8a6775c.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch.distributions import Normal

from agents.learners.base import Metrics, OnUpdate, gradient_step, refuse_stop, stack
from agents.learners.on_policy import EpisodeLearner, LearnerConfig
from agents.learners.returns import discounted_returns, normalise
from agents.learners.supervisor import Supervisor
from agents.policies.paper import (
    PaperPolicy,
    PatchProposalConfig,
    PatchProposalNetwork,
    StateEncoder,
)
from gf_env.configuration import Fraction, configuration
from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.task import Task
from gf_env.training import loop
from gf_env.training.seeding import seeded_weights

PHASE = "stage2"


@configuration
class PaperPPOConfig(LearnerConfig):
    """The learner's settings; the defaults are the paper's but for the length."""

    epochs: PositiveInt = 25
    learning_rate: PositiveFloat = 3e-4
    gamma: Fraction = 0.7
    """Discount."""
    clip_range: PositiveFloat = 0.2
    """How far the ratio may leave 1 before it gains nothing more."""
    vf_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    action_std: PositiveFloat = 0.1
    """Standard deviation of locations, as a fraction of the way a patch can travel."""
    state_encoder: StateEncoder = "conv"
    """How the policy reads feature maps, see `PatchProposalConfig`."""
    hidden_size: PositiveInt = 256
    """Of the policy's GRU."""


class PaperRollout(NamedTuple):
    """One batch of whole episodes; A = T - 1 actions.

    Attributes:
        features: (A, n, channels, h, w), what the policy saw.
        locations: (A, n, 2), where it looked, clipped to [0, 1].
        log_probs: (A, n), of `locations` under the policy that chose them.
        rewards: (A, n).
        correct: (n,) bool, the classifier at the end.
        looks: (n,) int64, how many an episode had, glance included.
    """

    features: torch.Tensor
    locations: torch.Tensor
    log_probs: torch.Tensor
    rewards: torch.Tensor
    correct: torch.Tensor
    looks: torch.Tensor


def train(
    task: Task,
    config: PaperPPOConfig | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> PaperPolicy:
    """Train the paper's policy; see `agents.learners.base`.

    It cannot stop: the paper stops at thresholds that are found afterwards (section 3.3).

    Raises:
        ValueError: the task has an action that stops.
    """
    learner = PaperLearner(task, config or PaperPPOConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class PaperLearner(EpisodeLearner[PatchProposalNetwork, PaperPPOConfig]):
    """The learner between two updates.

    A `gf_env.training.loop.Trainee`, so that it can be stopped and resumed after every epoch.

    Args:
        task: what to learn.
        config: settings.
        validate: returns metrics of a policy, for `validate`; none without it.
        workers: see `EpisodeLearner`.
        augment: likewise.

    Raises:
        ValueError: the task has an action that stops.
    """

    score = loop.ACCURACY

    def __init__(
        self,
        task: Task,
        config: PaperPPOConfig,
        *,
        validate: Callable[[PaperPolicy], loop.Metrics] | None = None,
        workers: int = 0,
        augment: bool = True,
    ) -> None:
        refuse_stop(task, "the paper's policy")
        network = _new_network(task, config)
        optimiser = torch.optim.Adam(network.parameters(), config.learning_rate)
        super().__init__(task, config, PHASE, network, optimiser, workers=workers, augment=augment)
        self._validate = validate

    def _update(self, progress: float, batch: Batch, generator: torch.Generator) -> Metrics:
        rollout = collect(self._task, self._network, batch, generator)
        return {
            "charts/episodic_return": rollout.rewards.sum(0).mean(),
            "charts/accuracy": rollout.correct.float().mean(),
            "charts/looks": rollout.looks.float().mean(),
            **update(self._network, self._optimiser, rollout, self._config),
        }

    def policy(self) -> PaperPolicy:
        """Return the policy as it is now."""
        return PaperPolicy(self._network, self._config.seed)

    def train_epoch(
        self, number: int, on_step: Callable[[Mapping[str, torch.Tensor]], None]
    ) -> None:
        """Train one epoch, counted from 0; call `on_step` with each update's metrics."""
        for metrics in self.updates(number):
            on_step(metrics)

    def validate(self) -> loop.Metrics:
        """Return the metrics of the policy as it is now."""
        return {} if self._validate is None else self._validate(self.policy())

    def save(self, path: Path) -> None:
        """Write the policy."""
        self.policy().save(path)


@torch.no_grad()
def collect(
    task: Task, policy: PatchProposalNetwork, batch: Batch, generator: torch.Generator
) -> PaperRollout:
    """Run one episode of full length on each image with sampled actions.

    Args:
        task: what is played.
        policy: on the task's device.
        batch: images and labels, likewise.
        generator: of the actions, on the task's device.
    """
    state = task.reset(batch.images, batch.labels)
    hidden = policy.initial_state(state.features)
    steps = []
    for _ in range(task.rules.sequence_length - 1):
        features = state.features
        mean, _, hidden = policy(features, hidden)
        locations = policy.perturb(mean, generator)
        log_probs = gaussian_log_prob(locations, mean, policy.config.action_std)
        state, rewards, _ = task.step(state, Look(locations))
        acted = {"features": features, "locations": locations, "log_probs": log_probs}
        steps.append({**acted, "rewards": rewards})
    correct = episodes.readout(state).correct
    return PaperRollout(**stack(steps), correct=correct, looks=state.step)


def update(
    policy: PatchProposalNetwork,
    optimiser: torch.optim.Optimizer,
    rollout: PaperRollout,
    config: PaperPPOConfig,
) -> Metrics:
    """Take the one gradient step that a batch is used for; return its losses by name."""
    returns = normalise(discounted_returns(rollout.rewards, config.gamma))
    log_probs, values = evaluate_actions(policy, rollout)
    ratio = (log_probs - rollout.log_probs).exp()
    advantages = returns - values.detach()
    clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
    policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    value_loss = (values - returns).square().mean()
    # the paper's entropy bonus is left out: for a Gaussian of fixed width it is a constant
    loss = policy_loss + config.vf_coef * value_loss
    gradient_step(policy, optimiser, loss)
    return {
        "losses/loss": loss.detach(),
        "losses/policy_loss": policy_loss.detach(),
        "losses/value_loss": value_loss.detach(),
        "losses/explained_variance": 1 - (returns - values.detach()).var() / returns.var(),
    }


def evaluate_actions(
    policy: PatchProposalNetwork, rollout: PaperRollout
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replay a rollout with gradients; return log-probabilities and values, both (A, n)."""
    hidden = policy.initial_state(rollout.features[0])
    std = policy.config.action_std
    log_probs, values = [], []
    for features, locations in zip(rollout.features, rollout.locations, strict=True):
        mean, value, hidden = policy(features, hidden)
        log_probs.append(gaussian_log_prob(locations, mean, std))
        values.append(value)
    return torch.stack(log_probs), torch.stack(values)


def gaussian_log_prob(locations: torch.Tensor, mean: torch.Tensor, std: float) -> torch.Tensor:
    """Return the log-density (n,) of locations (n, 2) under a Gaussian of equal axes."""
    density: Any = Normal(mean, std, validate_args=False)  # torch has no types for it
    log_probs: torch.Tensor = density.log_prob(locations).sum(-1)
    return log_probs


def _new_network(task: Task, config: PaperPPOConfig) -> PatchProposalNetwork:
    shape: Any = task.observation_space["features"].shape  # (channels, h, w)
    policy = PatchProposalConfig(shape, config.state_encoder, config.hidden_size, config.action_std)
    with seeded_weights(config.seed):
        return PatchProposalNetwork(policy).to(task.device)
