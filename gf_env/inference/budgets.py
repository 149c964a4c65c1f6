"""Adaptive inference: when to stop looking, and what it saves (paper, section 3.3 and appendix).

Thresholds come from how sure the network is on one set of images and are used on another; the
paper's release searches them on augmented training images, a held-out split is sounder.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BUDGETS = tuple(p / 20 for p in range(1, 40))
"""The paper's 39 values of q: small ones make most images leave early, large ones late."""

CONFIDENCES = (*(k / 20 for k in range(4, 20)), 0.97, 0.99, 0.995, 0.999)
"""Thresholds of the largest probability at which an image leaves, after any look; ours."""


class BudgetedResult(NamedTuple):
    """What a set of thresholds gives.

    Attributes:
        accuracy: share of images that are right when they leave.
        mean_cost: mean cumulative cost at leaving, in the units given.
        exit_shares: (T,) float64, share of images that leave after each step.
    """

    accuracy: float
    mean_cost: float
    exit_shares: NDArray[np.float64]


class BudgetPoint(NamedTuple):
    """What one budget of the paper's curve gives.

    Attributes:
        q: the budget; see `BUDGETS`.
        thresholds: (T,) float64, found on the held-out images.
        accuracy: share of the other images that are right when they leave.
        mean_cost: mean cumulative cost at leaving, in the units given.
        exit_shares: (T,) float64, share of images that leave after each step.
    """

    q: float
    thresholds: NDArray[np.float64]
    accuracy: float
    mean_cost: float
    exit_shares: NDArray[np.float64]


class ConfidencePoint(NamedTuple):
    """What one confidence for all looks gives.

    Attributes:
        confidence: an image leaves once its largest probability reaches it.
        accuracy: share of images that are right when they leave.
        mean_cost: mean cumulative cost at leaving, in the units given.
        exit_shares: (T,) float64, share of images that leave after each step.
    """

    confidence: float
    accuracy: float
    mean_cost: float
    exit_shares: NDArray[np.float64]


def exit_thresholds(max_probabilities: ArrayLike, q: float) -> NDArray[np.float64]:
    """Return thresholds eta_t with which shares proportional to q, q^2, ... q^T leave at each step.

    Of the images that are left at step k < T, the floor(n * share_k) most confident ones leave;
    where that is none, the threshold is infinite. The last step takes the rest.

    Args:
        max_probabilities: (T, n) in [0, 1], largest probability after each step.
        q: in (0, 2); see `BUDGETS`.

    Returns:
        (T,) float64; an image leaves at the first step at which it reaches the threshold.

    Raises:
        ValueError: another shape, values outside [0, 1], or q outside (0, 2).
    """
    sure = _probabilities(max_probabilities)
    if not 0 < q < 2:
        raise ValueError(f"q must be in (0, 2), got {q}")
    steps, count = sure.shape
    powers = float(q) ** np.arange(1, steps + 1)
    leaving = np.floor(count * powers / powers.sum()).astype(np.int64)
    thresholds = np.full(steps, np.inf)
    thresholds[-1] = 0.0
    running = np.ones(count, np.bool_)
    for step in range(steps - 1):
        candidates = sure[step, running]
        number = min(int(leaving[step]), len(candidates))
        if number:
            place = len(candidates) - number
            thresholds[step] = np.partition(candidates, place)[place]
            running &= sure[step] < thresholds[step]
    return thresholds


def budgeted_batch(
    max_probabilities: ArrayLike,
    correct: ArrayLike,
    cumulative_cost: ArrayLike,
    thresholds: ArrayLike,
) -> BudgetedResult:
    """Return accuracy and mean cost when every image leaves at the first threshold it reaches.

    Args:
        max_probabilities: (T, n) in [0, 1], largest probability after each step.
        correct: (T, n) bool.
        cumulative_cost: (T,), cost of the first t steps.
        thresholds: (T,); images that reach none leave after the last step.

    Raises:
        ValueError: shapes that do not fit each other, or values outside [0, 1].
    """
    sure = _probabilities(max_probabilities)
    steps, count = sure.shape
    right = np.asarray(correct)
    if right.shape != sure.shape:
        raise ValueError(f"correct must have shape {sure.shape}, got {right.shape}")
    cost = per_step("cumulative_cost", cumulative_cost, steps)
    leave = sure >= per_step("thresholds", thresholds, steps)[:, None]
    leave[-1] = True
    exits = leave.argmax(axis=0)
    return BudgetedResult(
        accuracy=float(right[exits, np.arange(count)].mean()),
        mean_cost=float(cost[exits].mean()),
        exit_shares=np.bincount(exits, minlength=steps) / count,
    )


def budgeted_curve(
    validation_max_probability: ArrayLike,
    max_probability: ArrayLike,
    correct: ArrayLike,
    cumulative_cost: ArrayLike,
) -> list[BudgetPoint]:
    """Return accuracy and mean cost at each of the paper's 39 `BUDGETS`.

    The first axis of arrays is images, as in an `Evaluation`; in `exit_thresholds` and
    `budgeted_batch` it is time.

    Args:
        validation_max_probability: (m, T) in [0, 1], of held-out images: thresholds are searched
            here.
        max_probability: (n, T) in [0, 1], of the images that are classified.
        correct: (n, T) bool.
        cumulative_cost: (T,), cost of the first t steps.

    Raises:
        ValueError: shapes that do not fit each other, or values outside [0, 1].
    """
    held_out = _time_first("validation_max_probability", validation_max_probability)
    sure, right = _images("max_probability", max_probability, correct)
    if len(held_out) != len(sure):
        raise ValueError(
            "validation_max_probability and max_probability must have the same number of steps T, "
            f"got {len(held_out)} and {len(sure)}"
        )
    points = []
    for q in BUDGETS:
        thresholds = exit_thresholds(held_out, q)
        result = budgeted_batch(sure, right.T, cumulative_cost, thresholds)
        points.append(BudgetPoint(q, thresholds, *result))
    return points


def confident_curve(
    max_probability: ArrayLike, correct: ArrayLike, cumulative_cost: ArrayLike
) -> list[ConfidencePoint]:
    """Return accuracy and mean cost at each of `CONFIDENCES`; nothing is searched.

    Args:
        max_probability: (n, T) in [0, 1].
        correct: (n, T) bool.
        cumulative_cost: (T,), cost of the first t steps.

    Raises:
        ValueError: shapes that do not fit each other, or values outside [0, 1].
    """
    sure, right = _images("max_probability", max_probability, correct)
    return [
        ConfidencePoint(
            confidence,
            *budgeted_batch(sure, right.T, cumulative_cost, np.full(len(sure), confidence)),
        )
        for confidence in CONFIDENCES
    ]


def _images(
    name: str, max_probability: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return probabilities (T, n), and (n, T) of what is right, after checking that they fit."""
    sure = _time_first(name, max_probability)
    right = np.asarray(correct)
    if right.shape != sure.shape[::-1]:
        raise ValueError(f"correct must have shape {sure.shape[::-1]}, got {right.shape}")
    return sure, right


def _time_first(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must have shape (n, T), got {array.shape}")
    return np.ascontiguousarray(array.T)  # a search reads all images of a step


def _probabilities(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"max_probabilities must have shape (T, n), got {array.shape}")
    if not (array.min() >= 0 and array.max() <= 1 + 1e-6):
        raise ValueError("max_probabilities must be in [0, 1]")
    return array


def per_step(name: str, values: ArrayLike, steps: int) -> NDArray[np.float64]:
    """Return values as an array (steps,) float64.

    Raises:
        ValueError: another shape; `name` says of what.
    """
    array = np.asarray(values, np.float64)
    if array.shape != (steps,):
        raise ValueError(
            f"{name} needs one value for each of {steps} steps, got shape {array.shape}"
        )
    return array
