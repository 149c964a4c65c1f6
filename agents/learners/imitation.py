"""Imitation of an oracle that sees labels: behaviour cloning on the learner's own episodes, DAgger.

After "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning"
(Ross, Gordon and Bagnell, AISTATS 2011). The learner runs episodes itself, so that it meets the
states that its own mistakes lead to, and in each of them the teacher says how probable the true
class would be after every patch of the grid: what `agents.GreedyOracle` chooses by. The policy
learns from that, sees no label, and needs no teacher once it is trained. It keeps the last batches
of episodes and learns from them again, as DAgger aggregates its data set.

This is not in the paper, whose policies learn from rewards (section 3.2). Episodes may end early,
as in the other learners; what comes after the end is masked out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from agents.learners.base import Update, run_updates
from agents.learners.masked_statistics import masked_mean
from agents.learners.on_policy import (
    EpisodeSchedule,
    Figures,
    check_config,
    follow_schedules,
    new_network,
)
from agents.policies.oracle import GreedyOracle
from agents.policies.recurrent import RecurrentPolicy
from agents.policies.recurrent_network import RULED_OUT, RecurrentPolicyNetwork, check_sees
from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.task import Task

PHASE = "imitation"


@dataclass(frozen=True)
class ImitationConfig:
    """The learner's settings."""

    epochs: int = 5
    """Passes over the images, one update for each batch of episodes."""
    updates: int | None = None
    """Batches of episodes to learn from; None for all of the epochs."""
    max_seconds: float = math.inf
    """Stop after the update in which this much time has passed."""
    num_envs: int = 512
    """Episodes in a batch."""
    kept_batches: int = 16
    """How many batches of episodes are kept, the newest among them."""
    gradient_steps: int = 4
    """In an update: one on the newest batch, the others on batches drawn from those kept."""
    learning_rate: float = 1e-3
    """AdamW's, at first."""
    anneal_lr: bool = True
    """Let the learning rate fall linearly to zero at the last update."""
    weight_decay: float = 0.01
    """AdamW's."""
    max_grad_norm: float | None = 1.0
    """Gradients longer than this are scaled down to it; None: they are not."""
    loss: str = "soft"
    """What to learn of the teacher, a name in `LOSSES`."""
    temperature: float = 0.05
    """Of the loss `soft`: how much less probable a patch may leave the class and still count."""
    weighted: bool = True
    """Weigh a state by how much better its best patch is than its average one."""
    beta: float = 0.0
    """Probability with which the teacher acts in the learner's place, at first."""
    beta_until: float = 0.5
    """Share of all updates after which the teacher no longer acts; it fades linearly."""
    sees: tuple[str, ...] = ("features", "hidden_state", "glance", "locations", "step")
    """Observations that the policy gets, out of `agents.policies.recurrent_network.SEES`."""
    hidden_size: int = 256
    """Of the policy's layers and memory."""
    recurrent: bool = False
    """With a GRU for a memory."""
    feature_channels: int = 0
    """To which the policy reduces feature maps; 0: it takes them as they are."""
    map_channels: int = 16
    """What each look leaves on a map of the grid; 0 for no map."""
    repeats: bool = False
    """Whether the policy may look at the same patch twice; False needs a map."""
    seed: int = 0
    """Of weights, images, actions and batches drawn."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        check_sees(self.sees)
        object.__setattr__(self, "sees", tuple(self.sees))  # JSON has lists only
        check_config(
            self,
            positive=_POSITIVE,
            fractions=("beta", "beta_until"),
            non_negative=("weight_decay", "feature_channels", "map_channels"),
        )
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {list(LOSSES)}, got {self.loss!r}")


_POSITIVE = (
    *("epochs", "updates", "max_seconds", "num_envs", "kept_batches", "gradient_steps"),
    *("learning_rate", "max_grad_norm", "temperature", "hidden_size"),
)


class Lessons(NamedTuple):
    """One batch of whole episodes and what the teacher said; A = T - 1 actions.

    Attributes:
        seen: (A, n, ...) float32 each, by name, what the policy saw.
        confidences: (A, n, k) float32 in [0, 1], the teacher's: probability of the true class
            after each patch.
        rewards: (A, n), of the actions taken.
        active: (A, n) bool, whether the episode was still running.
        agreed: (A, n) bool, whether the policy's likeliest patch was as good as the best, but for
            a hundredth.
        correct: (n,) bool, the classifier when the episode ended.
    """

    seen: dict[str, torch.Tensor]
    confidences: torch.Tensor
    rewards: torch.Tensor
    active: torch.Tensor
    agreed: torch.Tensor
    correct: torch.Tensor


def train(
    task: Task,
    config: ImitationConfig | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> RecurrentPolicy:
    """Train a policy by imitation.

    Args:
        task: what to learn, with grid actions; the network's device is used throughout. A feature
            bank makes the teacher many times faster.
        config: settings.
        on_update: called after every update.

    Returns:
        The trained policy.

    Raises:
        ValueError: the task's actions are continuous.
    """
    config = ImitationConfig() if config is None else config
    learner = ImitationLearner(task, config)
    run_updates(learner, config.max_seconds, on_update)
    return learner.policy()


class ImitationLearner:
    """The learner between two updates: policy, optimiser, the batches kept, and what comes next.

    Args:
        task: what to learn, with grid actions.
        config: settings.

    Attributes:
        epochs: passes over the images that are begun.
        steps_per_epoch: updates in a pass.
        samples_per_step: actions in an update.

    Raises:
        ValueError: the task's actions are continuous.
    """

    def __init__(self, task: Task, config: ImitationConfig) -> None:
        grid_size = task.actions.require_grid(
            "the teacher of imitation tries every patch of a grid"
        )
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
            seed=config.seed,
            feature_channels=config.feature_channels,
            map_channels=config.map_channels,
            repeats=config.repeats,
        )
        self._teacher = GreedyOracle(grid_size)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self._kept: list[Lessons] = []

    def updates(self, epoch: int) -> Iterator[Figures]:
        """Yield the figures of each update of an epoch, counted from 0."""
        config = self._config
        self._network.train()
        for progress, batch, generator in self._course.epoch(epoch):
            followed = follow_schedules(
                self._network,
                self._optimiser,
                progress,
                learning_rate=config.learning_rate,
                anneal_lr=config.anneal_lr,
                std=1.0,  # of locations, which there are none of
                final_std=None,
            )
            beta = teachers_share(progress, config.beta, config.beta_until)
            lessons = collect(self._task, self._network, self._teacher, batch, beta, generator)
            self._kept = [*self._kept, lessons][-config.kept_batches :]
            learned = update(self._network, self._optimiser, self._kept, config, generator)
            yield {
                "charts/episodic_return": (lessons.rewards * lessons.active).sum(0).mean(),
                "charts/accuracy": lessons.correct.float().mean(),
                "charts/agreement": masked_mean(lessons.agreed.float(), lessons.active),
                "charts/beta": torch.tensor(beta, dtype=torch.float64),
                **followed,
                **learned,
            }

    def policy(self) -> RecurrentPolicy:
        """Return the policy as it is now."""
        return RecurrentPolicy(self._network.eval(), self._config.seed)


def teachers_share(progress: float, beta: float, until: float) -> float:
    """Return beta_i, with which the teacher acts: falls linearly to 0 at the share `until`."""
    return beta * max(0.0, 1 - progress / until) if until > 0 else 0.0


@torch.no_grad()
def collect(
    task: Task,
    network: RecurrentPolicyNetwork,
    teacher: GreedyOracle,
    batch: Batch,
    beta: float,
    generator: torch.Generator,
) -> Lessons:
    """Run one episode on each image and ask the teacher in every state.

    Args:
        task: what is played, with grid actions.
        network: the policy, on the task's device; its actions are sampled.
        teacher: tries the patches of the task's grid.
        batch: images of the task's source and labels, on the device.
        beta: probability with which an action is the teacher's best instead.
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
        log_probs, _, memory = network(shown, memory)
        confidences = teacher.confidences(task, state)
        best, best_patch = confidences.max(1)
        likeliest = confidences.gather(1, log_probs.argmax(1)[:, None])[:, 0]
        draws = torch.rand(len(best), generator=generator, device=generator.device)
        own = network.actor.sample(log_probs, generator)
        actions = torch.where(draws.to(task.device) < beta, best_patch, own)
        state, rewards, terminated = task.step(state, task.actions.look(actions))
        columns.append((confidences, rewards, active, likeliest >= best - 0.01))
        correct = torch.where(active, episodes.readout(state).correct, correct)
        active = active & ~terminated
    confidences, rewards, active, agreed = map(torch.stack, zip(*columns, strict=True))
    shown = {name: torch.stack([each[name] for each in seen]) for name in seen[0]}
    return Lessons(shown, confidences, rewards, active, agreed, correct)


def update(
    network: RecurrentPolicyNetwork,
    optimiser: torch.optim.Optimizer,
    kept: list[Lessons],
    config: ImitationConfig,
    generator: torch.Generator,
) -> Figures:
    """Learn from the newest batch, then from others that were kept; return means by name."""
    drawn = torch.randint(
        len(kept), (config.gradient_steps - 1,), generator=generator, device=generator.device
    )
    steps = []
    for number in (-1, *drawn.tolist()):
        loss, figures = losses(network, kept[number], config)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
        optimiser.step()
        steps.append(figures)
    return {name: torch.stack([each[name] for each in steps]).mean() for name in steps[0]}


def losses(
    network: RecurrentPolicyNetwork, lessons: Lessons, config: ImitationConfig
) -> tuple[torch.Tensor, Figures]:
    """Return the loss of a batch and, by name, what it is made of."""
    log_probs, _ = network.replay(lessons.seen)
    # the teacher may look twice at a patch; where the policy may not, that is no advice
    open_to_it = log_probs > -RULED_OUT / 2
    advice = torch.where(open_to_it, lessons.confidences, -RULED_OUT)
    loss = LOSSES[config.loss](log_probs, advice, config.temperature)
    if config.weighted:
        loss = loss * stakes(lessons.confidences)
    loss = masked_mean(loss, lessons.active)
    entropy = masked_mean(network.actor.entropy(log_probs), lessons.active)
    return loss, {"losses/loss": loss.detach(), "losses/entropy": entropy.detach()}


def stakes(confidences: torch.Tensor) -> torch.Tensor:
    """Return what choosing well gains over choosing blindly, (...) of confidences (..., k).

    Once the digit has been found all patches are alike, and such a state has nothing to teach.
    """
    return confidences.amax(-1) - confidences.mean(-1)


def cross_entropy(
    log_probs: torch.Tensor, confidences: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return -log pi(best patch): plain behaviour cloning.

    Args:
        log_probs: (..., k), the policy's.
        confidences: (..., k), the teacher's.
        temperature: not used.

    Returns:
        (...), a loss for each state.
    """
    return -log_probs.gather(-1, confidences.argmax(-1, keepdim=True))[..., 0]


def soft_cross_entropy(
    log_probs: torch.Tensor, confidences: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the cross-entropy to softmax(confidences / temperature); see `cross_entropy`.

    Many patches show the digit, and which of them is best by a hair is chance.
    """
    return -((confidences / temperature).softmax(-1) * log_probs).sum(-1)


def expected_cost(
    log_probs: torch.Tensor, confidences: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return how much less than the best a sampled patch gains on average; see `cross_entropy`.

    As AggreVaTe (Ross and Bagnell 2014) does, it asks what a mistake costs.
    """
    return confidences.amax(-1) - (log_probs.exp() * confidences).sum(-1)


Loss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "soft": soft_cross_entropy,
    "expected": expected_cost,
}
