"""An upper bound that plans: whole episodes are tried with the true class known, by beam search."""

import torch

from agents.policies.oracle import GridPatches
from gf_env.envs.episodes import Episodes
from gf_env.envs.task import Task
from gf_env.network.classifiers import Classifier

_ROWS_AT_ONCE = 1 << 16


class BeamSearchOracle:
    """The next patch of the best plan found for the rest of the episode.

    A `PrivilegedPolicy`. Plans are sequences of a grid's patches, and the best is the one at whose
    end, after look T, the true class is most probable. After each look of the search the `width`
    sequences with the largest probability so far are kept; with as many as there are sequences the
    plan is the best there is, with 1 it is the `GreedyOracle`'s. Nothing is kept of a plan: each
    call plans anew from where the episodes are. Early exits are not foreseen.

    Args:
        grid_size: n for n x n patches to choose from.
        width: sequences kept.
        batch_size: patches that the encoder sees at a time.

    Raises:
        ValueError: width below 1.
    """

    def __init__(self, grid_size: int = 7, width: int = 8, batch_size: int = 4096) -> None:
        if width < 1:
            raise ValueError(f"width must be 1 or more, got {width}")
        self._patches = GridPatches(grid_size, batch_size)
        self._width = width

    @torch.no_grad()
    def choose_locations(self, task: Task, state: Episodes) -> torch.Tensor:
        """Return the plans' first locations, (n, 2) float32 in [0, 1], for n episodes."""
        pooled = self._patches.pooled(task, state)
        images_at_once = max(1, _ROWS_AT_ONCE // (self._width * pooled.shape[1]))
        chosen = torch.empty_like(state.labels)
        for step in torch.unique(state.step).tolist():
            # an episode past its end still gets an answer
            looks = max(1, task.rules.sequence_length - step)
            for part in (state.step == step).nonzero()[:, 0].split(images_at_once):
                chosen[part] = first_of_best(
                    task.network.classifier,
                    state.hidden[part],
                    pooled[part],
                    state.labels[part],
                    looks=looks,
                    width=self._width,
                )
        return self._patches.locations(task)[chosen]


def first_of_best(
    classifier: Classifier,
    hidden: torch.Tensor,
    pooled: torch.Tensor,
    labels: torch.Tensor,
    *,
    looks: int,
    width: int,
) -> torch.Tensor:
    """Return the first choice of each episode's best plan, (n,) int64 in [0, choices).

    Args:
        classifier: what the looks go to.
        hidden: (n, H), its state now.
        pooled: (n, choices, num_features), what each look would show.
        labels: (n,) int64, the true classes.
        looks: length of the plans, 1 or more.
        width: plans kept after each look.
    """
    count, choices = pooled.shape[:2]
    hidden = hidden[:, None]  # (n, beam, H)
    first = torch.arange(choices, device=labels.device).expand(count, -1)
    for look in range(looks):
        beam = hidden.shape[1]
        # each kept plan is continued with each choice, (n * beam * choices, ...)
        logits, after = classifier(
            pooled[:, None].expand(-1, beam, -1, -1).flatten(0, 2),
            hidden[:, :, None].expand(-1, -1, choices, -1).flatten(0, 2),
        )
        truth = labels.repeat_interleave(beam * choices)[:, None]
        probability = logits.softmax(1).gather(1, truth).view(count, beam * choices)
        kept = probability.topk(min(width, beam * choices), dim=1).indices  # best first
        after = after.view(count, beam * choices, -1)
        hidden = after.gather(1, kept[:, :, None].expand(-1, -1, after.shape[2]))
        first = first.gather(1, kept if look == 0 else kept // choices)
    return first[:, 0]
