"""What a step earns: functions of the classifier's output before and after it.

The paper's reward is the gain in the true class's probability (section 3.2, equation 5). A
contrastive reward compares not with what was before, but with what a random look would have given,
so that what any look gains earns nothing.
"""

from collections.abc import Callable

import torch

Reward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(logits before (n, classes), logits after (n, classes), labels (n,) int64) -> rewards (n,)
float32."""


def _of_class(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return values.gather(1, labels[:, None])[:, 0]


def confidence_gain(
    before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return p_ty - p_(t-1)y, in [-1, 1]; an episode's sum is p_Ty - p_1y."""
    return _of_class(after.softmax(1), labels) - _of_class(before.softmax(1), labels)


def cross_entropy_decrease(
    before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return log p_ty - log p_(t-1)y, in nats: how much the cross-entropy fell."""
    return _of_class(after.log_softmax(1), labels) - _of_class(before.log_softmax(1), labels)


def correctness_gain(
    before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return 1 where the step made the prediction right, -1 where it made it wrong, else 0."""
    right_after = (after.argmax(1) == labels).float()
    return right_after - (before.argmax(1) == labels).float()


def contrastive(
    alternative: torch.Tensor, after: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the true class's probability minus the mean of those after random looks, in [-1, 1].

    `alternative` has the logarithms of the mean probabilities after random looks.
    """
    return confidence_gain(alternative, after, labels)


REWARDS: dict[str, Reward] = {
    "confidence_gain": confidence_gain,
    "cross_entropy_decrease": cross_entropy_decrease,
    "correctness_gain": correctness_gain,
    "contrastive": contrastive,
}

AGAINST_RANDOM = frozenset({"contrastive"})
"""Rewards whose first argument is of random looks."""


def get_reward(name: str) -> Reward:
    """Return the reward of that name.

    Raises:
        ValueError: unknown name.
    """
    if name not in REWARDS:
        raise ValueError(f"unknown reward {name!r}; choose one of {sorted(REWARDS)}")
    return REWARDS[name]
