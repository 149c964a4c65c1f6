"""Learns when to stop a policy that only says where to look.

Where the looks go is settled, so when to stop them is a problem of optimal stopping, and it is
solved backwards by regression, after Longstaff and Schwartz, "Valuing American Options by
Simulation" (Review of Financial Studies 14(1), 2001). The policy runs every image to the end. After
the last but one look a network learns what the last one gains less its cost; after each earlier
look it learns what the next one gains, less its cost, and what comes after it as the networks
already trained would stop. Rewards are all that it learns from. The policy that comes out is
`agents.policies.learned_stopping.LearnedStopping`.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from agents.learners.base import Metrics, OnUpdate, gradient_step, report_updates, set_learning_rate
from agents.policies.base import Policy
from agents.policies.learned_stopping import LearnedStopping, StopConfig, StopNetwork
from agents.policies.recurrent_network import check_sees
from agents.policies.stopping import check_goes_on
from gf_env.configuration import configuration
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from gf_env.envs.task import Task
from gf_env.policy import observed_by, shown_as_trained
from gf_env.training.seeding import seeded_weights

_IMAGES_AT_ONCE = 500


@configuration
class StoppingConfig:
    """The learner's settings."""

    epochs: PositiveInt = 20
    """Passes over the images, for each look."""
    batch_size: PositiveInt = 256
    """Images of a gradient step."""
    learning_rate: PositiveFloat = 1e-3
    """AdamW's; falls linearly to zero."""
    weight_decay: NonNegativeFloat = 0.01
    """AdamW's."""
    sees: tuple[str, ...] = ("hidden_state", "probabilities")
    """Observations that decide, out of `agents.policies.recurrent_network.SEES`."""
    hidden_size: PositiveInt = 64
    """Of the two hidden layers of each network."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Between them, in training."""
    seed: int = 0
    """Of weights and batches."""

    def __post_init__(self) -> None:
        """Refuse observations that do not exist."""
        check_sees(self.sees)


def train(
    task: Task, policy: Policy, config: StoppingConfig, on_update: OnUpdate | None = None
) -> LearnedStopping:
    """Train when to stop a policy.

    Args:
        task: whose `look_cost` is the price, with the policy's kind of actions.
        policy: says where to look, and cannot stop.
        config: settings.
        on_update: see `agents.learners.base`; an update is a gradient step, its `steps` are the
            looks that it learns from.

    Raises:
        ValueError: a policy that stops, or that has other actions than the task.
    """
    check_goes_on(policy)
    seen, gains = run_to_the_end(task, policy, config.sees)
    shapes = {name: tuple(value.shape[2:]) for name, value in seen.items()}
    about = StopConfig(shapes, len(gains), config.hidden_size, config.dropout)
    with seeded_weights(config.seed):
        network = StopNetwork(about).to(task.device)
    trained = LearnedStopping(policy, network)
    steps = updates(network, seen, gains - task.rules.look_cost, config)
    looks = min(config.batch_size, gains.shape[1])
    # to its end, however long it takes: the first decisions are learned last
    report_updates(steps, lambda number: number * looks, math.inf, on_update)
    network.eval()
    return trained


@torch.no_grad()
def run_to_the_end(
    task: Task, policy: Policy, sees: tuple[str, ...]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Run one episode of full length on every image of a task.

    Args:
        task: what is played; A = T - 1 looks.
        policy: acts deterministically.
        sees: names of observations.

    Returns:
        What is seen before each look, (A, N, ...) by name, and what the look gains, (A, N).
    """
    extra = tuple(name for name in sees if name in EXTRA_OBSERVATIONS)
    shown = tuple(dict.fromkeys([*observed_by(policy), *extra]))
    every, as_trained = np.arange(len(task.dataset)), shown_as_trained(policy)
    parts: list[tuple[dict[str, torch.Tensor], torch.Tensor]] = []
    for rows in np.split(every, range(_IMAGES_AT_ONCE, len(every), _IMAGES_AT_ONCE)):
        state, memory, before, gained = task.start(rows), None, [], []
        for number in range(task.rules.sequence_length - 1):
            seen = task.observation_tensors(state, shown)
            arrays = {name: value.cpu().numpy() for name, value in seen.items()}
            starts = np.full(len(rows), number == 0)
            actions, memory = policy.predict(as_trained(arrays), memory, starts, deterministic=True)
            look = task.actions.decode(actions, len(rows))
            state, _, _ = task.step(state, look)
            before.append({name: seen[name] for name in sees})
            gained.append(state.gain)
        stacked = {name: torch.stack([each[name] for each in before]) for name in sees}
        parts.append((stacked, torch.stack(gained)))
    seen = {name: torch.cat([part[name] for part, _ in parts], dim=1) for name in sees}
    return seen, torch.cat([part for _, part in parts], dim=1)


def updates(
    network: StopNetwork,
    seen: Mapping[str, torch.Tensor],
    rewards: torch.Tensor,
    config: StoppingConfig,
) -> Iterator[Metrics]:
    """Take all gradient steps, for the last decision first, and yield the metrics of each.

    Args:
        network: is trained.
        seen: (A, N, ...) by name, before each look.
        rewards: (A, N), of each look.
        config: settings.
    """
    rng = np.random.default_rng(config.seed)
    after = torch.zeros_like(rewards[0])  # what is earned after a look
    for decision in reversed(range(len(rewards))):
        known = network.known({name: value[decision] for name, value in seen.items()})
        worth = rewards[decision] + after
        layers = network.after_look[decision]
        with torch.random.fork_rng():  # dropout draws from the global generator
            torch.manual_seed(config.seed)
            yield from _regress(layers.train(), known, worth, config, rng)
        with torch.no_grad():
            after = torch.where(layers.eval()(known)[:, 0] > 0, worth, 0)


def _regress(
    layers: nn.Module,
    known: torch.Tensor,
    worth: torch.Tensor,
    config: StoppingConfig,
    rng: np.random.Generator,
) -> Iterator[Metrics]:
    """Fit a network to what going on was worth, (N,), by least squares; yield metrics."""
    count = len(worth)
    optimiser = torch.optim.AdamW(
        layers.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    batches = list(range(config.batch_size, count, config.batch_size))
    total = config.epochs * (len(batches) + 1)
    done = itertools.count()
    for _ in range(config.epochs):
        for rows in np.split(rng.permutation(count), batches):
            rate = set_learning_rate(optimiser, config.learning_rate * (1 - next(done) / total))
            expected = layers(known[rows])[:, 0]
            loss = (expected - worth[rows]).square().mean()
            gradient_step(layers, optimiser, loss)
            explained: Any = 1 - loss.detach() / worth[rows].var(correction=0)
            yield {"losses/loss": loss.detach(), "losses/explained_variance": explained, **rate}
