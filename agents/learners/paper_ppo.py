"""The paper's training of its policy, stage 2 (section 3.2), as the release does it.

What the paper calls PPO takes one gradient step of one epoch on each batch. The old policy then
equals the new one, so the ratio is always 1, clipping never acts, and the entropy of a Gaussian of
fixed width has no gradient (so its bonus is left out): it is a policy gradient with a learned
baseline. Two more habits of the release are kept because they are part of what was published:
actions are clipped to the image before their log-probability is taken under the unclipped
Gaussian, which biases the gradient at the borders, and advantages are normalised returns minus a
value that regresses on normalised returns.
Source: blackfeather-wang/GFNet-Pytorch at 8a6775c.

Observations, actions and rewards stay on the network's device, without NumPy in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agents.learners.base import Update, run_updates
from agents.learners.masked_statistics import discounted_returns
from agents.policies.paper import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.task import Task
from gf_env.training import processes
from gf_env.training.epochs import epoch_indices, epoch_seed, steps_in_epoch
from gf_env.training.loop import Metrics

PHASE = "stage2"


@dataclass(frozen=True)
class PaperPPOConfig:
    """The learner's settings; the defaults are the paper's but for the length.

    Attributes:
        epochs: passes over the images, one gradient step for each batch of episodes.
        updates: gradient steps; None for all of the epochs.
        num_envs: episodes in a batch.
        learning_rate: Adam's.
        gamma: discount.
        clip_range: of the ratio.
        vf_coef: weight of the value loss.
        action_std: of the Gaussian, as a fraction of the way a patch can travel.
        state_encoder: see `PatchProposalConfig`.
        hidden_size: see `PatchProposalConfig`.
        max_seconds: stop after the update in which this much time has passed.
        seed: of weights, images and actions.
    """

    epochs: int = 25
    updates: int | None = None
    num_envs: int = 256
    learning_rate: float = 3e-4
    gamma: float = 0.7
    clip_range: float = 0.2
    vf_coef: float = 0.5
    action_std: float = 0.1
    state_encoder: str = "conv"
    hidden_size: int = 256
    max_seconds: float = math.inf
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("epochs", "updates", "num_envs", "learning_rate", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")


class Rollout(NamedTuple):
    """One batch of whole episodes; A = T - 1 actions.

    Attributes:
        features: (A, n, channels, h, w), what the policy saw.
        locations: (A, n, 2), where it looked, clipped to [0, 1].
        log_probs: (A, n), of `locations` under the policy that chose them.
        rewards: (A, n).
        correct: (n,) bool, the classifier at the end.
    """

    features: torch.Tensor
    locations: torch.Tensor
    log_probs: torch.Tensor
    rewards: torch.Tensor
    correct: torch.Tensor


def train(
    task: Task,
    config: PaperPPOConfig | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> PaperPolicy:
    """Train the paper's policy.

    Args:
        task: what to learn; the network's device is used throughout.
        config: settings.
        on_update: called after every update.

    Returns:
        The trained policy.
    """
    config = PaperPPOConfig() if config is None else config
    learner = PaperLearner(task, config)
    run_updates(learner, config.max_seconds, on_update)
    return learner.policy()


class PaperLearner:
    """The learner between two updates: policy, optimiser, and what comes next.

    A `gf_env.training.loop.Trainee`, so that it can be stopped and gone on with after every epoch.

    Args:
        task: what to learn.
        config: settings.
        validate: returns figures of a policy, for `validate`; none without it.
        workers: processes that read images ahead.
        augment: learn from varied copies of the images, where the data set has them.
    """

    def __init__(
        self,
        task: Task,
        config: PaperPPOConfig,
        *,
        validate: Callable[[PaperPolicy], Metrics] | None = None,
        workers: int = 0,
        augment: bool = True,
    ) -> None:
        self.steps_per_epoch = steps_in_epoch(len(task.dataset), config.num_envs)
        self._total = config.updates or config.epochs * self.steps_per_epoch
        self.epochs = -(-self._total // self.steps_per_epoch)
        batch_size = min(config.num_envs, len(task.dataset))
        self.samples_per_step = batch_size * (task.rules.sequence_length - 1)
        self._task, self._config, self._validate = task, config, validate
        self._workers, self._augment = workers, augment
        self._network = _new_policy(task, config)
        self._optimiser = torch.optim.Adam(
            self._network.parameters(), config.learning_rate, betas=(0.9, 0.999)
        )

    def updates(self, epoch: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the figures of each update of an epoch, counted from 0."""
        seed = epoch_seed(self._config.seed, PHASE, epoch)
        generator = torch.Generator(self._task.device).manual_seed(seed + processes.rank())
        self._network.train()
        left = self._total - epoch * self.steps_per_epoch
        batches = self._task.images.batches(
            epoch_indices(len(self._task.dataset), self._config.num_envs, seed),
            workers=self._workers,
            augmentation_seed=seed if self._augment else None,
        )
        for _, batch in zip(range(left), batches, strict=False):
            rollout = collect(self._task, self._network, batch, generator)
            losses = update(self._network, self._optimiser, rollout, self._config)
            yield {
                "charts/episodic_return": rollout.rewards.sum(0).mean(),
                "charts/accuracy": rollout.correct.float().mean(),
                **losses,
            }

    def policy(self) -> PaperPolicy:
        """Return the policy as it is now."""
        return PaperPolicy(self._network.eval(), self._config.seed)

    def train_epoch(
        self, number: int, on_step: Callable[[Mapping[str, torch.Tensor]], None]
    ) -> None:
        """Train one epoch, counted from 0; call `on_step` with each update's figures."""
        for metrics in self.updates(number):
            on_step(metrics)

    def validate(self) -> Metrics:
        """Return the figures of the policy as it is now."""
        return {} if self._validate is None else self._validate(self.policy())

    def save(self, path: Path) -> None:
        """Write the policy."""
        self.policy().save(path)

    def state(self) -> dict[str, Any]:
        """Return weights and the optimiser's state."""
        return {"policy": self._network.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self._network.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(state["optimiser"])


@torch.no_grad()
def collect(
    task: Task, policy: PatchProposalNetwork, batch: Batch, generator: torch.Generator
) -> Rollout:
    """Run one episode of full length on each image with sampled actions.

    Args:
        task: what is played.
        policy: on the task's device.
        batch: images and labels, likewise.
        generator: of the actions, on the task's device.
    """
    state = task.reset(batch.images, batch.labels)
    hidden = policy.initial_state(state.features)
    features, locations, log_probs, rewards = [], [], [], []
    for _ in range(task.rules.sequence_length - 1):
        mean, _, hidden = policy(state.features, hidden)
        chosen = policy.perturb(mean, generator)
        features.append(state.features)
        locations.append(chosen)
        log_probs.append(gaussian_log_prob(chosen, mean, policy.config.action_std))
        state, reward, _ = task.step(state, task.actions.look(chosen))
        rewards.append(reward)
    return Rollout(
        torch.stack(features),
        torch.stack(locations),
        torch.stack(log_probs),
        torch.stack(rewards),
        episodes.readout(state).correct,
    )


def update(
    policy: PatchProposalNetwork,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    config: PaperPPOConfig,
) -> dict[str, torch.Tensor]:
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
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    processes.average_gradients(policy)
    optimiser.step()
    return {
        "losses/loss": loss.detach(),
        "losses/policy_loss": policy_loss.detach(),
        "losses/value_loss": value_loss.detach(),
        "losses/explained_variance": 1 - (returns - values.detach()).var() / returns.var(),
    }


def evaluate_actions(
    policy: PatchProposalNetwork, rollout: Rollout
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
    distance = ((locations - mean) / std).square().sum(-1)
    return -0.5 * distance - 2 * math.log(std) - math.log(2 * math.pi)


def normalise(returns: torch.Tensor) -> torch.Tensor:
    """Return them with mean 0 and (unbiased) standard deviation 1 over all steps and episodes."""
    return (returns - returns.mean()) / (returns.std() + 1e-5)


def _new_policy(task: Task, config: PaperPPOConfig) -> PatchProposalNetwork:
    shape = task.observation_space["features"].shape
    assert shape is not None  # a Box always has one
    channels, height, width = shape
    with torch.random.fork_rng():  # weights are drawn from the global generator
        torch.manual_seed(config.seed)
        return PatchProposalNetwork(
            PatchProposalConfig(
                (channels, height, width),
                config.state_encoder,
                config.hidden_size,
                config.action_std,
            )
        ).to(task.device)
