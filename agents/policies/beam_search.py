"""An upper bound that plans: whole episodes are tried with the true class known, by beam search."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from agents.policies.oracle import GridPatches
from gf_env.envs.actions import Look
from gf_env.envs.episodes import Episodes, readout
from gf_env.envs.task import Task
from gf_env.network.classifiers import Classifier

_PAIRS_AT_ONCE = 1 << 14
"""Plans and looks that continue them which the classifier sees at a time."""


class BeamSearchOracle:
    """The next patch of the best plan found for the rest of the episode.

    A `PrivilegedPolicy`. Plans are sequences of a grid's patches, and the best is the one at whose
    end, after look T, the true class is most probable. After each look of the search the `width`
    sequences with the largest probability so far are kept; with as many as there are sequences the
    plan is the best there is, with 1 it is the `GreedyOracle`'s. Nothing is kept of a plan: each
    call plans anew from where the episodes are. Early exits are not foreseen.

    Where a first look gains nothing, all are alike to the search, and it keeps the right one for
    sure only if it keeps all. A width of k, the number of patches (49 of a grid of 7 x 7), keeps
    every first look, so it finds whatever two looks gain together; what only three gain together
    needs k * k.

    Look i of a search (from 1) takes k * min(width, k ** (i - 1)) steps of the classifier for an
    image, and an episode has searches for T - 1 looks, T - 2, ... and 1. With k = 49 and T = 5 that
    is 2,548 steps in all with the usual width of 8 and 14,602 with 49. The encoder sees each of
    the k patches once, and none with a feature bank.

    With `stop` plans of any length are compared, the best is the one that gains most over what its
    looks cost, and an episode stops where none gains more than that.

    Args:
        grid_size: n for n x n patches to choose from.
        width: sequences kept.
        batch_size: patches that the encoder sees at a time.
        stop: see above.

    Attributes:
        stop: as given.

    Raises:
        ValueError: width below 1.
    """

    def __init__(
        self, grid_size: int = 7, width: int = 8, batch_size: int = 4096, *, stop: bool = False
    ) -> None:
        if width < 1:
            raise ValueError(f"width must be 1 or more, got {width}")
        self._patches = GridPatches(grid_size, batch_size)
        self._width = width
        self.stop = stop

    @torch.no_grad()
    def choose_looks(
        self, task: Task, state: Episodes, indices: NDArray[np.int64] | None = None
    ) -> Look:
        """Return the plans' first looks, for n episodes."""
        pooled = self._patches.pooled(task, state)
        choices = pooled.shape[1]
        images_at_once = max(1, _PAIRS_AT_ONCE // (self._width * choices))
        chosen = torch.empty_like(state.labels)
        reached = torch.empty_like(state.gain)
        for step in torch.unique(state.step).tolist():
            # an episode past its end still gets an answer
            looks = max(1, task.rules.sequence_length - step)
            for part in (state.step == step).nonzero()[:, 0].split(images_at_once):
                chosen[part], reached[part] = first_of_best(
                    task.network.classifier,
                    state.hidden[part],
                    pooled[part],
                    state.labels[part],
                    looks=looks,
                    width=self._width,
                    look_cost=task.rules.look_cost if self.stop else None,
                )
        enough = reached <= readout(state).confidence if self.stop else None
        return Look(self._patches.locations(task)[chosen], enough)


def first_of_best(
    classifier: Classifier,
    hidden: torch.Tensor,
    pooled: torch.Tensor,
    labels: torch.Tensor,
    *,
    looks: int,
    width: int,
    look_cost: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first choice of each episode's best plan and what it comes to.

    Args:
        classifier: what the looks go to.
        hidden: (n, H), its state now.
        pooled: (n, choices, num_features), what each look would show.
        labels: (n,) int64, the true classes.
        looks: length of the plans, 1 or more.
        width: plans kept after each look.
        look_cost: with it shorter plans are plans too, and each look takes so much off what they
            come to; None: all plans are of full length.

    Returns:
        (n,) int64 in [0, choices), and (n,) float32: the true class's probability at the plan's
        end, less the looks' cost.
    """
    choices = pooled.shape[1]
    hidden = hidden[:, None]  # (n, beam, H)
    first = torch.arange(choices, device=labels.device).expand(len(labels), -1)
    chosen, reached = labels, pooled.new_full((len(labels),), -math.inf)
    for look in range(looks):
        probability = _probability_of_each(classifier, hidden, pooled, labels)
        count = width if look < looks - 1 else 1
        best, kept = probability.topk(min(count, probability.shape[1]), dim=1)  # best first
        first = first.gather(1, kept if look == 0 else kept // choices)
        if look_cost is not None or look == looks - 1:
            ends = best[:, 0] - (look_cost or 0.0) * (look + 1)
            chosen = torch.where(ends > reached, first[:, 0], chosen)
            reached = torch.maximum(ends, reached)
        if look < looks - 1:
            # only the states of plans that are kept are needed
            before = _gather(hidden, kept // choices)
            newest = _gather(pooled, kept % choices)
            after = classifier.advance(newest.flatten(0, 1), before.flatten(0, 1))
            hidden = after.view(*kept.shape, -1)
    return chosen, reached


def _probability_of_each(
    classifier: Classifier, hidden: torch.Tensor, pooled: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the true class's after each plan, continued with each choice, (n, beam * choices)."""
    count, choices = pooled.shape[:2]
    truth = labels[:, None, None, None]
    plans_at_once = max(1, _PAIRS_AT_ONCE // (count * choices))
    return torch.cat(
        [
            classifier.logits_of_each(pooled, part)
            .softmax(3)
            .gather(3, truth.expand(-1, part.shape[1], choices, -1))
            .flatten(1)
            for part in torch.split(hidden, plans_at_once, dim=1)
        ],
        dim=1,
    )


def _gather(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return rows (n, k) of each episode's values (n, m, size), (n, k, size)."""
    return values.gather(1, rows[:, :, None].expand(-1, -1, values.shape[2]))
