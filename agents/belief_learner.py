"""Learns a belief from an oracle that sees labels; see `agents.belief`.

For every training image the oracle says, once, how probable the true class would be after each
patch of the grid. Answers are taken as independent signs of whether what decides is in that patch,
which gives a posterior over places (Bayes' rule, all places alike before). A network learns to tell
it from the glance, by cross-entropy. An image counts by how much the best patch gains over the
worst: once the glance decides, there is nothing to find.

Neither in the paper nor reinforcement learning: it is supervised by the oracle, as behaviour
cloning is, but learns where things are instead of what to do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from agents.belief import BeliefConfig, BeliefNetwork, BeliefPolicy
from agents.on_policy import Figures, check_config
from agents.oracle import GreedyOracle
from agents.updates import Update
from gf_env.datasets.loading import Loading, read_batches
from gf_env.task import Task

_SURVEYED_AT_ONCE = 250


@dataclass(frozen=True)
class BeliefLearnerConfig:
    """The learner's settings."""

    epochs: int = 14
    """Passes over the images."""
    batch_size: int = 256
    """Of a gradient step."""
    learning_rate: float = 1e-3
    """AdamW's; rises over the first steps, then falls linearly to zero."""
    warmup_updates: int = 50
    """How many steps it rises."""
    weight_decay: float = 0.01
    """AdamW's."""
    trust: float = 3.0
    """Logarithm of the odds by which a patch's answer, from worst to best, speaks for a place."""
    places: int = 32
    """See `agents.belief.BeliefConfig`, and likewise"""
    margin: float = 1 / 6
    """this,"""
    hidden_size: int = 1024
    """this"""
    dropout: float = 0.5
    """this"""
    search_on: bool = True
    """and this."""
    max_seconds: float = math.inf
    """Stop after the update in which this much time has passed since training began."""
    seed: int = 0
    """Of weights and batches."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        check_config(
            self,
            positive=("epochs", "batch_size", "learning_rate", "trust", "max_seconds"),
            fractions=(),
            non_negative=("weight_decay", "warmup_updates"),
        )


class Survey(NamedTuple):
    """What the oracle says of all N images of a data set.

    Attributes:
        glances: (N, channels, h, w) float32, what the policy will see.
        confidences: (N, n * n) float32 in [0, 1], the true class's probability after each patch.
    """

    glances: torch.Tensor
    confidences: torch.Tensor


def train(
    task: Task,
    config: BeliefLearnerConfig | None = None,
    on_update: Callable[[Update], None] | None = None,
) -> BeliefPolicy:
    """Train a policy that searches with a belief.

    Args:
        task: what to learn, with grid actions. The survey is kept in memory, on the built-in task
            5 kB an image; a feature bank makes it many times faster.
        config: settings.
        on_update: called after every gradient step; `steps` are the looks that the oracle tried.

    Returns:
        The trained policy.

    Raises:
        ValueError: the task's actions are continuous.
    """
    config = BeliefLearnerConfig() if config is None else config
    if task.grid is None:
        raise ValueError("the oracle tries every patch of a grid; make the task with grid_size")
    began = time.perf_counter()
    found = survey(task)
    network = _new_network(task, config)
    for number, figures in enumerate(updates(network, found, config), 1):
        seconds = time.perf_counter() - began
        if on_update is not None:
            metrics = {name: value.item() for name, value in figures.items()}
            on_update(Update(number, found.confidences.numel(), seconds, metrics))
        if seconds >= config.max_seconds:
            break
    return BeliefPolicy(network, config.seed)


@torch.no_grad()
def survey(task: Task) -> Survey:
    """Ask the oracle about every image of the task, after the glance.

    Args:
        task: with grid actions.
    """
    assert task.grid is not None
    oracle = GreedyOracle(math.isqrt(len(task.grid)))
    every = np.arange(len(task.dataset))
    batches = np.split(every, range(_SURVEYED_AT_ONCE, len(every), _SURVEYED_AT_ONCE))
    glances, confidences = [], []
    for batch in read_batches(task.source, batches, Loading(task.device)):
        state = task.reset(batch.images, batch.labels)
        glances.append(state.glance_features)
        confidences.append(oracle.confidences(task, state))
    return Survey(torch.cat(glances), torch.cat(confidences))


def updates(
    network: BeliefNetwork, found: Survey, config: BeliefLearnerConfig
) -> Iterator[Figures]:
    """Take all gradient steps, and yield the figures of each."""
    optimiser = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    generator = torch.Generator().manual_seed(config.seed)
    count = len(found.glances)
    total = config.epochs * -(-count // config.batch_size)
    done = 0
    with torch.random.fork_rng():  # dropout draws from the global generator
        torch.manual_seed(config.seed)
        network.train()
        for _ in range(config.epochs):
            order = torch.randperm(count, generator=generator).to(found.glances.device)
            for rows in torch.split(order, config.batch_size):
                rise = min(1.0, (done + 1) / max(1, config.warmup_updates))
                rate = config.learning_rate * rise * (1 - done / total)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                loss = losses(network, found.glances[rows], found.confidences[rows], config.trust)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                done += 1
                yield {
                    "losses/loss": loss.detach(),
                    "charts/learning_rate": torch.tensor(rate, dtype=torch.float64),
                }


def losses(
    network: BeliefNetwork, glances: torch.Tensor, confidences: torch.Tensor, trust: float
) -> torch.Tensor:
    """Return the mean cross-entropy to what the oracle's answers make of the places."""
    places, stakes = posterior(confidences, network.coverage, trust)
    cross_entropy: torch.Tensor = -(places * network(glances)).sum(1)
    return (cross_entropy * stakes).mean()


def posterior(
    confidences: torch.Tensor, coverage: torch.Tensor, trust: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where what decides must be, by the answers of all patches.

    Args:
        confidences: (n, patches), the oracle's.
        coverage: (patches, places) of 0 and 1.
        trust: how much one answer says, from the worst patch's -trust to the best one's +trust.

    Returns:
        probabilities of places, (n, places), and how much was at stake, (n,): best less worst.
    """
    worst, best = confidences.aminmax(dim=1, keepdim=True)
    answers = (confidences - worst) / (best - worst).clamp_min(1e-6)
    places = (trust * (2 * answers - 1) @ coverage).softmax(1)
    return places, (best - worst)[:, 0]


def _new_network(task: Task, config: BeliefLearnerConfig) -> BeliefNetwork:
    assert task.grid is not None
    channels, height, width = task.observation_space["features"].shape or ()
    about = BeliefConfig(
        (channels, height, width),
        task.network.config.image_size,
        task.network.config.patch_size,
        math.isqrt(len(task.grid)),
        config.places,
        config.margin,
        config.hidden_size,
        config.dropout,
        config.search_on,
    )
    with torch.random.fork_rng():  # weights are drawn from the global generator
        torch.manual_seed(config.seed)
        return BeliefNetwork(about).to(task.device)
