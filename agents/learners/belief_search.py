"""Learns a belief from an oracle that sees labels; see `agents.policies.belief_search`.

For every training image the oracle says, once, how probable the true class would be after each
patch of the grid. Answers are taken as independent signs of whether what decides is in that patch,
which gives a posterior over places (Bayes' rule, all places alike before). A network learns to tell
it from the glance, by cross-entropy. An image counts by how much the best patch gains over the
worst: once the glance decides, there is nothing to find. From there the network searches, and
learns in the same way what each look says of the places that are left, while nothing is found.

Neither in the paper nor reinforcement learning: it is supervised by the oracle, as behaviour
cloning is, but learns where things are instead of what to do.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from typing_extensions import override

from agents.learners.base import Metrics, OnUpdate, gradient_step, refuse_stop, set_learning_rate
from agents.learners.resumable import NetworkLearner
from agents.learners.supervisor import Supervisor, run_updates
from agents.policies.belief_search import BeliefConfig, BeliefNetwork, BeliefPolicy, BeliefSettings
from agents.policies.oracle import GreedyOracle
from gf_env.configuration import configuration
from gf_env.envs.task import Task
from gf_env.training.seeding import seeded_weights

_SURVEYED_AT_ONCE = 250


@configuration
class BeliefLearnerConfig(BeliefSettings):
    """The learner's settings."""

    epochs: PositiveInt = 20
    """Passes over the images."""
    batch_size: PositiveInt = 256
    """Images of a gradient step."""
    learning_rate: PositiveFloat = 1e-3
    """AdamW's; rises over the first steps, then falls linearly to zero."""
    warmup_updates: NonNegativeInt = 50
    """How many steps it rises."""
    weight_decay: NonNegativeFloat = 0.01
    """AdamW's."""
    trust: PositiveFloat = 3.0
    """Logarithm of the odds by which a patch's answer, from worst to best, speaks for a place."""
    max_seconds: PositiveFloat = math.inf
    """Stop after the update in which this much time has passed since training began."""
    seed: int = 0
    """Of weights and batches."""


def train(
    task: Task,
    config: BeliefLearnerConfig | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> BeliefPolicy:
    """Train a policy that searches with a belief; see `agents.learners.base`.

    A feature bank makes the oracle many times faster. An update is a gradient step; its `steps` are
    the looks that the oracle tried. The belief says where to look, not whether.

    Raises:
        ValueError: the task's actions are continuous, or one of them stops.
    """
    learner = BeliefLearner(task, config or BeliefLearnerConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class BeliefLearner(NetworkLearner[BeliefNetwork, BeliefLearnerConfig]):
    """The learner between two updates; see `agents.learners.resumable.Resumable`.

    Args:
        task: with grid actions, none of which stops.
        config: settings.

    Attributes:
        total: updates in all.
    """

    def __init__(self, task: Task, config: BeliefLearnerConfig) -> None:
        refuse_stop(task, "a belief")
        grid_size = task.actions.require_grid("the oracle tries every patch of a grid")
        network = _new_network(task, config)
        optimiser = torch.optim.AdamW(
            network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        super().__init__(task, config, "belief", network, optimiser)
        self._looks = len(task.dataset) * grid_size**2
        self._batches = list(range(config.batch_size, len(task.dataset), config.batch_size))
        self.total = config.epochs * (len(self._batches) + 1)
        self._confidences: torch.Tensor | None = None
        self._dropout: torch.Tensor | None = None

    def run(self, on_update: OnUpdate | None, supervisor: Supervisor | None = None) -> None:
        """Take all gradient steps, or those that end in time; call `on_update` after each."""
        run_updates(self, self._config.max_seconds, on_update, supervisor)

    def updates_left(self) -> Iterator[Metrics]:
        """Ask the oracle, then take the gradient steps that are left; yield metrics of each."""
        if self._confidences is None:
            self._confidences = survey(self._task)
        rng, count = np.random.default_rng(self._config.seed), len(self._confidences)
        batches = (
            rows
            for _ in range(self._config.epochs)
            for rows in np.split(rng.permutation(count), self._batches)
        )
        with torch.random.fork_rng():  # dropout draws from the global generator
            torch.manual_seed(self._config.seed)
            if self._dropout is not None:
                _generator_of(self._task.device).set_state(self._dropout)
            for rows in itertools.islice(batches, self._done, None):
                metrics = self._update(self._confidences, rows)
                self._done += 1
                self._dropout = _generator_of(self._task.device).get_state()
                yield metrics

    def _update(self, confidences: torch.Tensor, rows: NDArray[np.int64]) -> Metrics:
        config = self._config
        self._network.train()  # whoever looks at the policy evaluates it
        rise = min(1.0, (self._done + 1) / max(1, config.warmup_updates))
        rate = config.learning_rate * rise * (1 - self._done / self.total)
        learning_rate = set_learning_rate(self._optimiser, rate)
        first, later = losses(self._task, self._network, confidences, rows, config.trust)
        gradient_step(self._network, self._optimiser, first + later)
        return {
            "losses/after_the_glance": first.detach(),
            "losses/after_looks": later.detach(),
            **learning_rate,
        }

    def steps_after(self, number: int) -> int:
        """Return how many looks the oracle tried, all of them before the first update."""
        return self._looks

    def policy(self) -> BeliefPolicy:
        """Return the policy as it is now."""
        return BeliefPolicy(self._network, self._config.seed)

    @override
    def state(self) -> dict[str, Any]:
        asked = {"confidences": self._confidences, "dropout": self._dropout}
        return {**super().state(), **asked}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._confidences = state["confidences"].to(self._task.device)
        self._dropout = state["dropout"]


def _generator_of(device: torch.device) -> torch.Generator:
    """Return the global generator that a device's modules draw from."""
    if device.type == "cuda":
        generator: torch.Generator = torch.cuda.default_generators[device.index or 0]
        return generator
    return torch.default_generator


@torch.no_grad()
def survey(task: Task) -> torch.Tensor:
    """Ask the oracle about every image of the task, after the glance.

    Args:
        task: with grid actions.

    Returns:
        (N, n * n) float32 in [0, 1], the true class's probability after each patch.
    """
    oracle = GreedyOracle(task.actions.require_grid("the oracle tries every patch of a grid"))
    every = np.arange(len(task.dataset))
    batches = np.split(every, range(_SURVEYED_AT_ONCE, len(every), _SURVEYED_AT_ONCE))
    return torch.cat(
        [
            oracle.confidences(task, task.reset(batch.images, batch.labels))
            for batch in task.images.batches(batches)
        ]
    )


def losses(
    task: Task,
    network: BeliefNetwork,
    confidences: torch.Tensor,
    rows: NDArray[np.int64],
    trust: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean cross-entropies to what the oracle's answers make of the places.

    Args:
        task: what is looked at.
        network: its beliefs guide the looks.
        confidences: (N, n * n), the oracle's, of all images of the task.
        rows: (n,) int64 in [0, N), those that are learned from.
        trust: see `posterior`.

    Returns:
        Of the belief after the glance, and the sum of those after each look but the last, on
        places that are left.
    """
    places, stakes, answers = posterior(confidences[rows], network.coverage, trust)
    state = task.start(rows)
    logits = network(state.glance_features)
    first = -((places * logits.log_softmax(1)).sum(1) * stakes).mean()
    later = torch.zeros_like(first)
    if network.evidence_layers is None:
        return first, later
    unseen = torch.ones_like(places)
    for _ in range(task.rules.sequence_length - 2):
        with torch.no_grad():
            chosen = network.choose(logits, unseen).argmax(1)
            unseen = unseen * (1 - network.coverage[chosen])
            stakes = stakes * (1 - answers.gather(1, chosen[:, None])[:, 0])
            left = places * unseen
            left = left / left.sum(1, keepdim=True).clamp_min(1e-6)
            state, _, _ = task.step(state, task.actions.look(chosen))
        logits = logits + network.evidence(state.features, chosen)
        log_belief = logits.masked_fill(unseen == 0, -1e9).log_softmax(1)
        later = later - ((left * log_belief).sum(1) * stakes).mean()
    return first, later


def posterior(
    confidences: torch.Tensor, coverage: torch.Tensor, trust: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return where what decides must be, by the answers of all patches.

    Args:
        confidences: (n, patches), the oracle's.
        coverage: (patches, places) of 0 and 1.
        trust: how much one answer says, from the worst patch's -trust to the best one's +trust.

    Returns:
        probabilities of places, (n, places); how much was at stake, (n,): best less worst; and the
        answers, (n, patches) in [0, 1], from worst to best.
    """
    worst, best = confidences.aminmax(dim=1, keepdim=True)
    answers = (confidences - worst) / (best - worst).clamp_min(1e-6)
    places = (trust * (2 * answers - 1) @ coverage).softmax(1)
    return places, (best - worst)[:, 0], answers


def _new_network(task: Task, config: BeliefLearnerConfig) -> BeliefNetwork:
    shape: Any = task.observation_space["features"].shape  # (channels, h, w)
    chosen = {field.name: getattr(config, field.name) for field in fields(BeliefSettings)}
    belief = BeliefConfig(
        **chosen,
        feature_shape=shape,
        image_size=task.network.config.image_size,
        patch_size=task.network.config.patch_size,
        grid_size=task.actions.require_grid("the belief chooses among the patches of a grid"),
    )
    with seeded_weights(config.seed):
        return BeliefNetwork(belief).to(task.device)
