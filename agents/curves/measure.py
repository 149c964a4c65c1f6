"""The paper's two figures for a trained network: accuracy against cost (section 4.2, figures 4, 5).

GFNet with early exit and with as many looks for every image (anytime), beside plain networks of
the same backbone that see the whole image at several sizes. Early exit is the paper's (budgeted
batch) or, which is ours, at one confidence for all looks. Cost is multiply-adds, the policy's and
the classifier's included, or measured time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents.policies.paper import PaperPolicy
from agents.reporting.latency import interleaved_latency
from gf_env.datasets import Dataset
from gf_env.datasets.batches import Loading
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.inference.budgets import budgeted_batch, budgeted_curve
from gf_env.network.cost import count_multiply_adds
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier, measure_accuracy

ANYTIME, BUDGETED, CONFIDENT, PLAIN = "anytime", "budgeted", "confident", "plain"
CONFIDENCES = (*(k / 20 for k in range(4, 20)), 0.97, 0.99, 0.995, 0.999)
"""Thresholds of the largest probability at which an image leaves, after any look."""


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


@dataclass(frozen=True)
class LatencyConfig:
    """How time is measured.

    Attributes:
        batch_size: images at a time.
        batches: as many images of the test split as these in a turn.
        repeats: turns of everything, after `warmup` that are not counted.
        warmup: turns that are not counted.
    """

    batch_size: int = 64
    batches: int = 16
    repeats: int = 9
    warmup: int = 2


def measure_curves(
    network: GlanceFocusNet,
    policy: PaperPolicy,
    plain: Mapping[int, ImageClassifier],
    validation: Dataset,
    test: Dataset,
    latency: LatencyConfig,
    workers: int = 0,
) -> list[Point]:
    """Return the points of all curves.

    Args:
        network: in eval mode, on the device to use.
        policy: the paper's, for this network.
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
    adaptive = functools.partial(
        AdaptiveClassifier(network, policy).classify, batch_size=latency.batch_size
    )
    unmeasured = [
        *_anytime(adaptive, found),
        *_budgeted(adaptive, held_out, found),
        *_confident(adaptive, found),
        *_plain(plain, test, Loading(device, workers), latency.batch_size),
    ]
    runs = {
        str(number): functools.partial(classify, images)
        for number, (_, classify) in enumerate(unmeasured)
    }
    times = interleaved_latency(runs, warmup=latency.warmup, repeats=latency.repeats, device=device)
    return [
        Point(**figures, seconds=times[str(number)].median / count)
        for number, (figures, _) in enumerate(unmeasured)
    ]


Classify = Callable[..., object]
"""From images, and for GFNet `exit_thresholds`, to classes."""
Unmeasured = tuple[dict[str, Any], Classify]
"""A point's figures but for the time, and what takes the time."""


def _anytime(adaptive: Classify, found: Evaluation) -> list[Unmeasured]:
    """Return a point for each number of looks; what is timed has no more than those."""
    never = np.full(len(found.multiply_adds), np.inf)
    points: list[Unmeasured] = []
    for looks, (accuracy, cost) in enumerate(
        zip(found.accuracy, found.multiply_adds, strict=True), start=1
    ):
        thresholds = never.copy()
        thresholds[looks - 1] = 0.0  # everybody leaves here
        points.append(
            (
                _figures(ANYTIME, looks, accuracy, cost),
                functools.partial(adaptive, exit_thresholds=thresholds),
            )
        )
    return points


def _budgeted(adaptive: Classify, held_out: Evaluation, found: Evaluation) -> list[Unmeasured]:
    return [
        (
            _figures(BUDGETED, point.q, point.accuracy, point.mean_cost),
            functools.partial(adaptive, exit_thresholds=point.thresholds),
        )
        for point in budgeted_curve(
            held_out.max_probability, found.max_probability, found.correct, found.multiply_adds
        )
    ]


def _confident(adaptive: Classify, found: Evaluation) -> list[Unmeasured]:
    points: list[Unmeasured] = []
    for confidence in CONFIDENCES:
        thresholds = np.full(len(found.multiply_adds), confidence)
        result = budgeted_batch(
            found.max_probability.T, found.correct.T, found.multiply_adds, thresholds
        )
        points.append(
            (
                _figures(CONFIDENT, confidence, result.accuracy, result.mean_cost),
                functools.partial(adaptive, exit_thresholds=thresholds),
            )
        )
    return points


def _plain(
    plain: Mapping[int, ImageClassifier], test: Dataset, loading: Loading, batch_size: int
) -> list[Unmeasured]:
    points: list[Unmeasured] = []
    for size, classifier in sorted(plain.items()):
        accuracy = measure_accuracy(classifier, test, loading=loading)
        image = test.images(np.arange(1)).to(loading.device)
        cost = count_multiply_adds(functools.partial(classifier, image))
        in_batches = functools.partial(_classify_in_batches, classifier, batch_size)
        points.append((_figures(PLAIN, size, accuracy, cost), in_batches))
    return points


def _figures(curve: str, setting: float, accuracy: float, cost: float) -> dict[str, Any]:
    return {
        "curve": curve,
        "setting": float(setting),
        "accuracy": float(accuracy),
        "multiply_adds": float(cost),
    }


@torch.inference_mode()
def _classify_in_batches(
    classifier: ImageClassifier, batch_size: int, images: torch.Tensor
) -> None:
    for part in torch.split(images, batch_size):
        classifier(part)
