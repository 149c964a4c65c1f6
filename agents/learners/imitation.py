"""Imitation of an oracle that sees labels: behaviour cloning on the learner's own episodes, DAgger.

After "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning"
(Ross, Gordon and Bagnell, AISTATS 2011). The learner runs episodes itself, so that it meets the
states that its own mistakes lead to, and in each of them the teacher says how probable the true
class would be after every patch of the grid: what `agents.GreedyOracle` chooses by. The policy
learns from that, sees no label, and needs no teacher once it is trained. It keeps the last batches
of episodes and learns from them again, as DAgger aggregates its data set.

Where the task has an action that stops, the teacher also says how probable the class is already,
with the price that a look would cost on top. Whether to stop and where to look are then two
questions with a loss each: one action is not to be drowned by 49 patches.

This is not in the paper, whose policies learn from rewards (section 3.2). Episodes may end early,
as in the other learners; what comes after the end is masked out.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from typing_extensions import override

from agents.learners.architectures.recurrent import RecurrentWithMap
from agents.learners.base import Metrics, OnUpdate, gradient_step, stack
from agents.learners.kept_batches import KeptBatches
from agents.learners.masked_statistics import masked_mean
from agents.learners.on_policy import (
    Acted,
    ActorCriticLearner,
    EpisodeSettings,
    episode_metrics,
    run_episodes,
)
from agents.learners.supervisor import Supervisor
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from agents.policies.actors import RULED_OUT
from agents.policies.oracle import GreedyOracle
from gf_env.configuration import Fraction, configuration
from gf_env.datasets.batches import Batch
from gf_env.envs.episodes import Episodes, readout
from gf_env.envs.task import Task

PHASE = "imitation"


@configuration
class ImitationSettings(EpisodeSettings):
    """The learner's settings, for any architecture."""

    epochs: PositiveInt = 5
    num_envs: PositiveInt = 512
    max_grad_norm: PositiveFloat | None = 1.0
    kept_batches: PositiveInt = 16
    """How many batches of episodes are kept, the newest among them."""
    gradient_steps: PositiveInt = 4
    """In an update: one on the newest batch, the others on batches drawn from those kept."""
    weight_decay: NonNegativeFloat = 0.01
    """AdamW's."""
    loss: str = "soft"
    """What to learn of the teacher, a name in `LOSSES`."""
    temperature: PositiveFloat = 0.05
    """Of the loss `soft`: how much less probable a patch may leave the class and still count."""
    weighted: bool = True
    """Weigh a state by how much better its best patch is than its average one."""
    beta: Fraction = 0.0
    """Probability with which the teacher acts in the learner's place, at first."""
    beta_until: Fraction = 0.5
    """Share of all updates after which the teacher no longer acts; it fades linearly."""

    def __post_init__(self) -> None:
        """Refuse a loss that does not exist."""
        super().__post_init__()
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {list(LOSSES)}, got {self.loss!r}")


@configuration
class ImitationConfig(RecurrentWithMap, ImitationSettings):
    """Settings of imitation by a policy with a map of what each look left."""


class Lessons(NamedTuple):
    """One batch of whole episodes and what the teacher said; A = T - 1 actions.

    Attributes:
        perceived: as `agents.learners.on_policy.Rollout` has it.
        confidences: (A, n, k) float32 in [0, 1], the teacher's: probability of the true class
            after each patch. With stop (A, n, k + 1), the last that before the look and the look's
            cost.
        rewards: (A, n), of the actions taken.
        active: (A, n) bool, whether the episode was still running.
        agreed: (A, n) bool, whether the policy's likeliest action was as good as the best, but for
            a hundredth.
        correct: (n,) bool, the classifier when the episode ended.
        looks: (n,) int64, how many the episode had, glance included.
    """

    perceived: dict[str, torch.Tensor]
    confidences: torch.Tensor
    rewards: torch.Tensor
    active: torch.Tensor
    agreed: torch.Tensor
    correct: torch.Tensor
    looks: torch.Tensor


def train(
    task: Task,
    config: ImitationSettings | None = None,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> ActorCriticPolicy[Any]:
    """Train a policy of the architecture in the settings; see `agents.learners.base`.

    A feature bank makes the teacher many times faster.

    Raises:
        ValueError: the task's actions are continuous.
    """
    learner = ImitationLearner(task, config or ImitationConfig())
    learner.run(on_update, supervisor)
    return learner.policy()


class ImitationLearner(ActorCriticLearner[ImitationSettings]):
    """The learner between two updates, with its teacher and the batches kept."""

    def __init__(self, task: Task, config: ImitationSettings) -> None:
        grid_size = task.actions.require_grid(
            "the teacher of imitation tries every patch of a grid"
        )
        super().__init__(
            task,
            config,
            PHASE,
            functools.partial(torch.optim.AdamW, weight_decay=config.weight_decay),
        )
        self._teacher = GreedyOracle(grid_size)
        self._kept = KeptBatches(Lessons, config.kept_batches)

    def _update(self, progress: float, batch: Batch, generator: torch.Generator) -> Metrics:
        config = self._config
        rate = self._anneal_rate(progress)
        beta = teachers_share(progress, config.beta, config.beta_until)
        lessons = collect(self._task, self._network, self._teacher, batch, beta, generator)
        self._kept.add(lessons)
        learned = update(self._network, self._optimiser, self._kept, config, generator)
        return {
            **episode_metrics(lessons.rewards, lessons.active, lessons.correct, lessons.looks),
            "charts/agreement": masked_mean(lessons.agreed.float(), lessons.active),
            "charts/beta": torch.tensor(beta, dtype=torch.float64),
            **rate,
            **learned,
        }

    @override
    def state(self) -> dict[str, Any]:
        return {**super().state(), "kept": self._kept.state()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._kept.load_state(state["kept"], self._task.device)


def teachers_share(progress: float, beta: float, until: float) -> float:
    """Return beta_i, with which the teacher acts: falls linearly to 0 at the share `until`."""
    return beta * max(0.0, 1 - progress / until) if until > 0 else 0.0


def collect(
    task: Task,
    network: ActorCritic,
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
        batch: of the task's images, on its device.
        beta: probability with which an action is the teacher's best instead.
        generator: of the actions, likewise.
    """

    def act(state: Episodes, log_probs: torch.Tensor, values: torch.Tensor) -> Acted:
        confidences = advice(task, teacher, state)
        best, best_action = confidences.max(1)
        likeliest = confidences.gather(1, network.actor.likeliest(log_probs)[:, None])[:, 0]
        draws = torch.rand(len(best), generator=generator, device=generator.device)
        own = network.actor.sample(log_probs, generator)
        actions = torch.where(draws.to(task.device) < beta, best_action, own)
        return actions, {"confidences": confidences, "agreed": likeliest >= best - 0.01}

    return Lessons(**run_episodes(task, network, batch, act, generator))


def advice(task: Task, teacher: GreedyOracle, state: Episodes) -> torch.Tensor:
    """Return what the teacher says of each action in n episodes, as `Lessons` has it.

    A look is better than to stop where it gains more than it costs.
    """
    confidences = teacher.confidences(task, state)
    if not task.actions.stop:
        return confidences
    enough = readout(state).confidence + task.rules.look_cost
    return torch.cat([confidences, enough[:, None]], dim=1)


def update(
    network: ActorCritic,
    optimiser: torch.optim.Optimizer,
    kept: KeptBatches[Lessons],
    config: ImitationSettings,
    generator: torch.Generator,
) -> Metrics:
    """Learn from the newest batch, then from others that were kept; return means by name."""
    steps = []
    for lessons in kept.drawn(config.gradient_steps, generator):
        loss, metrics = losses(network, lessons, config)
        gradient_step(network, optimiser, loss, config.max_grad_norm)
        steps.append(metrics)
    return {name: values.mean() for name, values in stack(steps).items()}


def losses(
    network: ActorCritic, lessons: Lessons, config: ImitationSettings
) -> tuple[torch.Tensor, Metrics]:
    """Return the loss of a batch and, by name, what it is made of."""
    log_probs, _ = network.replay(lessons.perceived)
    asked = [(log_probs, lessons.confidences)]
    if network.config.stop:
        asked = [*whether_and_where(log_probs, lessons.confidences)]
    loss = torch.stack([_loss(*question, config) for question in asked]).sum(0)
    loss = masked_mean(loss, lessons.active)
    entropy = masked_mean(network.actor.entropy(log_probs), lessons.active)
    return loss, {"losses/loss": loss.detach(), "losses/entropy": entropy.detach()}


Question = tuple[torch.Tensor, torch.Tensor]
"""Log-probabilities of answers, the policy's, and the teacher's advice on them, both (..., k)."""


def whether_and_where(
    log_probs: torch.Tensor, confidences: torch.Tensor
) -> tuple[Question, Question]:
    """Return two questions for one: whether to go on or stop, and where to look.

    To go on is worth what the patches are that the policy would choose, not what the best one is:
    that one the teacher finds only because it sees the label.

    Args:
        log_probs: (..., k + 1), the policy's, the last of stopping.
        confidences: (..., k + 1), the teacher's, as `Lessons` has them.
    """
    patches, stop = log_probs[..., :-1], log_probs[..., -1:]
    of_patches, of_stop = confidences[..., :-1], confidences[..., -1:]
    go_on = patches.logsumexp(-1, keepdim=True)
    patches = patches - go_on
    worth = (patches.detach().exp() * of_patches).sum(-1, keepdim=True)
    whether = torch.cat([go_on, stop], -1), torch.cat([worth, of_stop], -1)
    return whether, (patches, of_patches)


def _loss(
    log_probs: torch.Tensor, confidences: torch.Tensor, config: ImitationSettings
) -> torch.Tensor:
    """Return the loss (...) of a question, weighed by its stakes if the settings say so."""
    # the teacher may look twice at a patch; where the policy may not, that is no advice
    open_to_it = log_probs > -RULED_OUT / 2
    advised = torch.where(open_to_it, confidences, -RULED_OUT)
    loss = LOSSES[config.loss](log_probs, advised, config.temperature)
    return loss * stakes(confidences) if config.weighted else loss


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
