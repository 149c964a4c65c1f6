"""The paper's two plots for a trained network: accuracy against cost (section 4.2, figures 4, 5).

GFNet with early exit and with as many looks for every image (anytime), beside plain networks of
the same backbone that see the whole image at several sizes. Early exit is the paper's (budgeted
batch) or, which is ours, at one confidence for all looks. Cost is multiply-adds, the policy's and
the classifier's included, or measured time.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets import Dataset
from gf_env.datasets.batches import Loading
from gf_env.evaluation import Evaluation
from gf_env.inference.budgets import BUDGETS, CONFIDENCES, budgeted_batch, exit_thresholds
from gf_env.network.cost import count_multiply_adds
from gf_env.network.image_classifier import ImageClassifier, right_answers

ANYTIME, BUDGETED, CONFIDENT, PLAIN = "anytime", "budgeted", "confident", "plain"


@dataclass(frozen=True)
class Point:
    """One way to classify.

    Attributes:
        curve: `anytime`, `budgeted`, `confident` or `plain`.
        setting: looks, the budget q, the confidence, or the input size in pixels.
        accuracy: share of the images.
        multiply_adds: mean for an image.
        looks: mean at an image, the glance included; of a plain network 1.
        thresholds: (T,) at which images leave; of a plain network none.
    """

    curve: str
    setting: float
    accuracy: float
    multiply_adds: float
    looks: float = 1.0
    thresholds: tuple[float, ...] = ()


class Way(NamedTuple):
    """GFNet's thresholds at one point of a curve.

    Attributes:
        curve: `anytime`, `budgeted` or `confident`.
        setting: as of a `Point`.
        thresholds: (T,) float64.
    """

    curve: str
    setting: float
    thresholds: NDArray[np.float64]


def ways_to_leave(held_out: Evaluation) -> list[Way]:
    """Return the thresholds of every point of GFNet; those of budgets are searched on `held_out`.

    Args:
        held_out: of other images than those that are classified.
    """
    looks = held_out.correct.shape[1]
    # nobody leaves before this look, and everybody after it
    anytime = [np.where(np.arange(looks) == look, 0.0, np.inf) for look in range(looks)]
    sure = held_out.max_probability.T
    return [
        *(Way(ANYTIME, look + 1.0, each) for look, each in enumerate(anytime)),
        *(Way(BUDGETED, q, exit_thresholds(sure, q)) for q in BUDGETS),
        *(Way(CONFIDENT, each, np.full(looks, each)) for each in CONFIDENCES),
    ]


def leave_early(found: Evaluation, ways: Sequence[Way]) -> list[Point]:
    """Return what the images of an evaluation are taken for, and at what cost, when they leave.

    Args:
        found: episodes of full length.
        ways: see `ways_to_leave`.
    """
    return [_leave(found, each) for each in ways]


def _leave(found: Evaluation, way: Way) -> Point:
    result = budgeted_batch(
        found.max_probability.T, found.correct.T, found.multiply_adds, way.thresholds
    )
    looks = float(result.exit_shares @ np.arange(1, len(way.thresholds) + 1))
    thresholds = tuple(way.thresholds.tolist())
    return Point(way.curve, way.setting, result.accuracy, result.mean_cost, looks, thresholds)


@dataclass(frozen=True)
class Plain:
    """A plain network on the images that are classified.

    Attributes:
        size: of its input, pixels.
        right: (n,) bool.
        multiply_adds: for an image.
    """

    size: int
    right: NDArray[np.bool_]
    multiply_adds: int

    def point(self, rows: slice = slice(None)) -> Point:
        """Return its point on some of the images."""
        accuracy = float(self.right[rows].mean())
        return Point(PLAIN, float(self.size), accuracy, float(self.multiply_adds))


def plain_networks(
    classifiers: Mapping[int, ImageClassifier], images: Dataset, loading: Loading
) -> Iterator[Plain]:
    """Yield what plain networks do, by rising size.

    Args:
        classifiers: of whole images by their input size, in eval mode, on the device of `loading`.
        images: what is classified.
        loading: device and workers.
    """
    image = images.images(np.arange(1)).to(loading.device)
    for size, classifier in sorted(classifiers.items()):
        right = right_answers(classifier, images, loading=loading)
        with torch.inference_mode():
            cost = count_multiply_adds(functools.partial(classifier, image))
        yield Plain(size, right, cost)
