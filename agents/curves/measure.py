"""The paper's two plots for a trained network: accuracy against cost (section 4.2, figures 4, 5).

GFNet with early exit and with as many looks for every image (anytime), beside plain networks of
the same backbone that see the whole image at several sizes. Early exit is the paper's (budgeted
batch) or, which is ours, at one confidence for all looks. Cost is multiply-adds, the policy's and
the classifier's included, or measured time.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from agents.policies.base import Policy
from agents.reporting.latency import interleaved_latency
from gf_env.configuration import configuration
from gf_env.datasets import Dataset
from gf_env.datasets.batches import Loading
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.inference.budgets import BUDGETS, CONFIDENCES, budgeted_batch, exit_thresholds
from gf_env.network.cost import count_multiply_adds
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier, measure_accuracy

ANYTIME, BUDGETED, CONFIDENT, PLAIN = "anytime", "budgeted", "confident", "plain"


@dataclass(frozen=True)
class Point:
    """One way to classify.

    Attributes:
        curve: `anytime`, `budgeted`, `confident` or `plain`.
        setting: looks, the budget q, the confidence, or the input size in pixels.
        accuracy: share of the test images.
        multiply_adds: mean for an image.
        seconds: median time of a batch, divided by its images.
    """

    curve: str
    setting: float
    accuracy: float
    multiply_adds: float
    seconds: float


@configuration
class LatencyConfig:
    """How time is measured.

    Attributes:
        batch_size: images at a time.
        batches: as many images of the test split as these in a turn.
        repeats: turns of everything.
        warmup: turns before them that are not counted.
    """

    batch_size: PositiveInt = 64
    batches: PositiveInt = 16
    repeats: PositiveInt = 9
    warmup: NonNegativeInt = 2


Unmeasured = tuple[Point, Callable[[torch.Tensor], object]]
"""A point whose time is NaN, and what classifies images, which takes the time."""


def measure_curves(
    network: GlanceFocusNet,
    policy: Policy,
    plain: Mapping[int, ImageClassifier],
    validation: Dataset,
    test: Dataset,
    latency: LatencyConfig,
    workers: int = 0,
) -> list[Point]:
    """Return the points of all curves.

    Args:
        network: in eval mode, on the device to use.
        policy: for this network; it does not stop.
        plain: classifiers of whole images by their input size, in eval mode, on the same device.
        validation: where exit thresholds are searched.
        test: what everything is measured on.
        latency: how time is measured.
        workers: processes that read images ahead.
    """
    device = network.device
    held_out, found = (
        evaluate(policy, network=network, dataset=images, device=device, workers=workers)
        for images in (validation, test)
    )
    count = min(len(test), latency.batch_size * latency.batches)
    images = test.images(np.arange(count)).to(device)
    classifier = AdaptiveClassifier(network, policy)
    unmeasured = [
        *_early_exits(classifier, held_out, found, latency.batch_size),
        *_plain(plain, test, Loading(device, workers), latency.batch_size),
    ]
    runs = {
        str(number): functools.partial(classify, images)
        for number, (_, classify) in enumerate(unmeasured)
    }
    times = interleaved_latency(runs, warmup=latency.warmup, repeats=latency.repeats, device=device)
    return [
        dataclasses.replace(point, seconds=times[str(number)].median / count)
        for number, (point, _) in enumerate(unmeasured)
    ]


def _early_exits(
    classifier: AdaptiveClassifier, held_out: Evaluation, found: Evaluation, batch_size: int
) -> Iterator[Unmeasured]:
    """Yield GFNet's points: on all three curves, images leave at thresholds.

    These are searched on what is held out; `found` is of the test images.
    """
    for curve, setting, thresholds in _thresholds(held_out, len(found.multiply_adds)):
        result = budgeted_batch(
            found.max_probability.T, found.correct.T, found.multiply_adds, thresholds
        )
        classify = functools.partial(
            classifier.classify, batch_size=batch_size, exit_thresholds=thresholds
        )
        yield Point(curve, setting, result.accuracy, result.mean_cost, math.nan), classify


def _thresholds(
    held_out: Evaluation, looks: int
) -> Iterator[tuple[str, float, NDArray[np.float64]]]:
    """Yield curve, setting and (T,) float64 thresholds of each point of GFNet."""
    for look in range(looks):
        # nobody leaves before this look, and everybody after it
        yield ANYTIME, float(look + 1), np.where(np.arange(looks) == look, 0.0, np.inf)
    for q in BUDGETS:
        yield BUDGETED, q, exit_thresholds(held_out.max_probability.T, q)
    for confidence in CONFIDENCES:
        yield CONFIDENT, confidence, np.full(looks, confidence)


def _plain(
    plain: Mapping[int, ImageClassifier], test: Dataset, loading: Loading, batch_size: int
) -> Iterator[Unmeasured]:
    """Yield the points of plain networks."""
    image = test.images(np.arange(1)).to(loading.device)
    for size, classifier in sorted(plain.items()):
        accuracy = measure_accuracy(classifier, test, loading=loading)
        cost = count_multiply_adds(functools.partial(classifier, image))
        classify = functools.partial(_classify_in_batches, classifier, batch_size)
        yield Point(PLAIN, float(size), accuracy, float(cost), math.nan), classify


@torch.inference_mode()
def _classify_in_batches(
    classifier: ImageClassifier, batch_size: int, images: torch.Tensor
) -> None:
    for part in torch.split(images, batch_size):
        classifier(part)
