"""What each task claims of its scenes and its network, as measured numbers with their bounds.

A task asks for something only if what should say nothing says nothing, and what should decide
decides. `docs/TASKS.md` shows the numbers; a test compares them with the bounds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents.learners import belief_search
from agents.learners.belief_search import BeliefLearnerConfig
from agents.policies.beam_search import BeamSearchOracle
from agents.policies.oracle import GreedyOracle
from agents.policies.planner import ObjectPolicy
from agents.policies.rules import CoverPolicy, RandomPolicy
from gf_env.datasets import load_dataset
from gf_env.datasets.base import Located, located
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.envs.task import Task
from gf_env.evaluation import Evaluation, evaluate
from gf_env.geometry import Lattice, corners
from gf_env.policy import Policy, PrivilegedPolicy

_BATCH = 500
_WHOLE_SCAN = 16
"""Patches of 24 pixels that cover a scene of 96."""


class Claim(NamedTuple):
    """One measured number and what the task claims of it.

    Attributes:
        text: what it is.
        value: as measured.
        least: the smallest value that bears the claim out; None: no bound.
        most: the largest.
    """

    text: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bounds."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def signposts(num_images: int) -> list[Claim]:
    """Return what holds of signposts, on the first test scenes."""
    planned = _measure("signposts", ObjectPolicy("needed"), num_images)
    glance, sign, digit = planned.confidence.mean(axis=0)
    scenes = located(load_dataset("signposts", "test"))
    others = ObjectPolicy("without-first")
    unread = _measure("signposts", others, num_images, looks=scenes.num_objects - 1)
    probe = _pattern_probe(num_images)
    return [
        Claim("confidence after the glance", glance),
        Claim("confidence after the sign, less that after the glance", sign - glance, -0.02, 0.02),
        Claim("confidence after the sign, then the digit it names", digit, least=0.85),
        Claim("accuracy after the sign, then the digit it names", planned.accuracy[-1], least=0.93),
        Claim(
            "confidence after all digits without the sign",
            unread.confidence[:, -1].mean(),
            most=0.25,
        ),
        Claim("a linear probe tells the pattern from the glance, less chance", probe, most=0.05),
    ]


def digit_sums(num_images: int) -> list[Claim]:
    """Return what holds of digit sums, on the first test scenes."""
    both = _measure("digit-sums", ObjectPolicy("needed"), num_images)
    glance, one, two = both.confidence.mean(axis=0)[:3]
    greedy = _measure("digit-sums", GreedyOracle(), num_images, bank=True)
    ahead = _measure("digit-sums", BeamSearchOracle(width=49), num_images, bank=True)
    ends = [done.confidence[:, -1].mean() for done in (greedy, ahead)]
    return [
        Claim("confidence after the glance", glance),
        Claim("confidence after one digit, less that after the glance", one - glance, -0.02, 0.02),
        Claim("confidence after both digits", two, least=0.85),
        Claim("accuracy after both digits", both.accuracy[2], least=0.93),
        Claim("confidence at the end: greedy oracle", ends[0]),
        Claim("confidence at the end: beam search less the greedy oracle", ends[1] - ends[0], 0.3),
    ]


def hidden_digits(num_images: int) -> list[Claim]:
    """Return what holds of hidden digits, on the first test scenes."""
    found = _measure("hidden-digits", ObjectPolicy("needed"), num_images)
    task = make_task(dataset="hidden-digits", split="test", grid_size=True)
    by_belief, by_chance = _places_found(num_images)
    scan = CoverPolicy(task.network)
    few, all_of_them = task.rules.sequence_length - 1, _WHOLE_SCAN
    more = {}
    for looks in (few, all_of_them):
        ordered = _measure("hidden-digits", scan, num_images, looks=looks)
        repeating = _measure("hidden-digits", RandomPolicy(), num_images, looks=looks)
        more[looks] = ordered.accuracy[-1] - repeating.accuracy[-1]
    return [
        Claim("confidence after the glance", found.confidence[:, 0].mean()),
        Claim("confidence after a patch with the digit", found.confidence[:, 1].mean(), least=0.9),
        Claim(
            "a belief from the glance finds the digit at once, less the best fixed patch",
            by_belief - by_chance,
            most=0.03,
        ),
        Claim(
            f"accuracy of a scan that never repeats less that of random patches, {few} looks",
            more[few],
        ),
        Claim(f"the same, {all_of_them} looks, the whole scene", more[all_of_them], least=0.1),
    ]


def cluttered_digits(num_images: int) -> list[Claim]:
    """Return what holds of cluttered digits, on the first test scenes."""
    found = _measure("cluttered-digits", ObjectPolicy("needed"), num_images)
    greedy = _measure("cluttered-digits", GreedyOracle(), num_images)
    blind = _measure("cluttered-digits", RandomPolicy(), num_images)
    ends = [done.confidence[:, -1].mean() for done in (greedy, blind)]
    return [
        Claim("confidence after the glance", found.confidence[:, 0].mean()),
        Claim("confidence after a patch with the digit", found.confidence[:, 1].mean(), least=0.9),
        Claim("confidence at the end: random patches, which do not see", ends[1]),
        Claim("confidence at the end: greedy oracle less random patches", ends[0] - ends[1], 0.2),
    ]


CLAIMS: Mapping[str, Callable[[int], Sequence[Claim]]] = {
    "cluttered-digits": cluttered_digits,
    "hidden-digits": hidden_digits,
    "signposts": signposts,
    "digit-sums": digit_sums,
}
"""By task; called with a number of test scenes."""


def _measure(
    name: str,
    policy: Policy | PrivilegedPolicy,
    num_images: int,
    *,
    looks: int | None = None,
    bank: bool = False,
) -> Evaluation:
    task: TaskArguments = {"dataset": name, "sequence_length": None if looks is None else 1 + looks}
    if bank:
        task = {**task, "grid_size": True, "feature_bank": True}
    return evaluate(policy, num_images=num_images, **task)


def _pattern_probe(num_images: int) -> float:
    """Return how much better than chance a sign's pattern is told from the glance's features."""
    names = [_glance_at_sign("train", 5 * num_images), _glance_at_sign("test", num_images)]
    (features, patterns), (unseen, hidden) = names
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    probe.fit(features, patterns)
    share = float((probe.predict(unseen) == hidden).mean())
    return share - 1 / len(np.unique(patterns))


def _glance_at_sign(split: str, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the glance's features in the cell of the sign's middle, and the pattern it has."""
    task = make_task(dataset="signposts", split=split)
    scenes = located(task.dataset)
    count = min(count, len(scenes))
    batches = np.split(np.arange(count), range(_BATCH, count, _BATCH))
    features = torch.cat([task.start(batch).features for batch in batches])
    size = scenes.spec.image_size
    middles = scenes.objects[:count, 0] + scenes.content_sizes[0] / 2
    rows, cols = (middles / size * features.shape[-1]).astype(np.int64).T
    found: NDArray[np.float32] = features[np.arange(count), :, rows, cols].numpy()
    return found, scenes.contents[:count, 0]


def _places_found(num_images: int) -> tuple[float, float]:
    """Return how often a patch holds the hidden digit: the belief's first, and the best fixed one.

    The belief is learned from an oracle, as in `agents.learners.belief_search`, and sees the
    glance; looks are no evidence.
    """
    train = load_dataset("hidden-digits", "train", size=5 * num_images)
    task = make_task(dataset=train, grid_size=True, feature_bank=True)
    config = BeliefLearnerConfig(evidence_size=0, hidden_size=256)
    belief = _measure("hidden-digits", belief_search.train(task, config), num_images)
    scenes = located(load_dataset("hidden-digits", "test"))
    by_belief = _holds(scenes, task, torch.from_numpy(belief.locations[:, 0]))
    grid_size = task.actions.require_grid("the belief has one")
    network = task.network.config
    grid = Lattice.grid(grid_size, network.image_size, network.patch_size).locations()
    fixed = [_holds(scenes, task, place.expand(num_images, 2)).mean() for place in grid]
    return float(by_belief.mean()), float(max(fixed))


def _holds(scenes: Located, task: Task, locations: torch.Tensor) -> NDArray[np.bool_]:
    """Return whether patches at locations (n, 2) hold the first object of the first n scenes."""
    config = task.network.config
    starts = corners(locations, config.image_size, config.patch_size).numpy()
    count = len(locations)
    sizes = np.array(scenes.content_sizes)[scenes.contents[:count, 0], None]
    offsets = scenes.objects[:count, 0] - starts
    inside: NDArray[np.bool_] = ((offsets >= 0) & (offsets + sizes <= config.patch_size)).all(1)
    return inside
