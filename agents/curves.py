"""The paper's two figures for a trained network: accuracy against cost (section 4.2, figures 4, 5).

GFNet with early exit and with as many looks for every image (anytime), beside plain networks of
the same backbone that see the whole image at several sizes. Early exit is the paper's (budgeted
batch) or, which is ours, at one confidence for all looks. Cost is multiply-adds, the policy's and
the classifier's included, or measured time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents.patch_proposal import PaperPolicy
from gf_env.adaptive import AdaptiveClassifier
from gf_env.cost import count_multiply_adds
from gf_env.datasets import Dataset
from gf_env.datasets.loading import Loading
from gf_env.evaluation import Evaluation, evaluate
from gf_env.image_classifier import ImageClassifier, measure_accuracy
from gf_env.inference import budgeted_batch, budgeted_curve
from gf_env.latency import interleaved_latency
from gf_env.network import GlanceFocusNet

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
        batches: of the test split, one after the other in a turn.
        repeats: turns of everything, after `warmup` that are not counted.
        warmup: turns that are not counted.
    """

    batch_size: int = 64
    batches: int = 8
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
    batches = torch.split(test.images(np.arange(count)).to(device), latency.batch_size)
    unmeasured = [
        *_anytime(network, policy, found),
        *_budgeted(network, policy, held_out, found),
        *_confident(network, policy, found),
        *_plain(plain, test, Loading(device, workers)),
    ]
    runs = {
        str(number): functools.partial(_run_all, classify, batches)
        for number, (_, classify) in enumerate(unmeasured)
    }
    times = interleaved_latency(runs, warmup=latency.warmup, repeats=latency.repeats, device=device)
    return [
        Point(**figures, seconds=times[str(number)].median / count)
        for number, (figures, _) in enumerate(unmeasured)
    ]


Unmeasured = tuple[dict[str, Any], Callable[[torch.Tensor], object]]
"""A point's figures but for the time, and what takes the time."""


def _anytime(network: GlanceFocusNet, policy: PaperPolicy, found: Evaluation) -> list[Unmeasured]:
    """Return a point for each number of looks; what is timed has no more than those."""
    never = np.full(len(found.multiply_adds), np.inf)
    points: list[Unmeasured] = []
    for looks, (accuracy, cost) in enumerate(
        zip(found.accuracy, found.multiply_adds, strict=True), start=1
    ):
        thresholds = never.copy()
        thresholds[looks - 1] = 0.0  # everybody leaves here
        classifier = AdaptiveClassifier(network, policy)
        points.append(
            (
                _figures(ANYTIME, looks, accuracy, cost),
                functools.partial(classifier.classify, exit_thresholds=thresholds),
            )
        )
    return points


def _budgeted(
    network: GlanceFocusNet, policy: PaperPolicy, held_out: Evaluation, found: Evaluation
) -> list[Unmeasured]:
    classifier = AdaptiveClassifier(network, policy)
    return [
        (
            _figures(BUDGETED, point.q, point.accuracy, point.mean_cost),
            functools.partial(classifier.classify, exit_thresholds=point.thresholds),
        )
        for point in budgeted_curve(
            held_out.max_probability, found.max_probability, found.correct, found.multiply_adds
        )
    ]


def _confident(network: GlanceFocusNet, policy: PaperPolicy, found: Evaluation) -> list[Unmeasured]:
    classifier = AdaptiveClassifier(network, policy)
    points: list[Unmeasured] = []
    for confidence in CONFIDENCES:
        thresholds = np.full(len(found.multiply_adds), confidence)
        result = budgeted_batch(
            found.max_probability.T, found.correct.T, found.multiply_adds, thresholds
        )
        points.append(
            (
                _figures(CONFIDENT, confidence, result.accuracy, result.mean_cost),
                functools.partial(classifier.classify, exit_thresholds=thresholds),
            )
        )
    return points


def _plain(
    plain: Mapping[int, ImageClassifier], test: Dataset, loading: Loading
) -> list[Unmeasured]:
    points: list[Unmeasured] = []
    for size, classifier in sorted(plain.items()):
        accuracy = measure_accuracy(classifier, test, loading=loading)
        image = test.images(np.arange(1)).to(loading.device)
        cost = count_multiply_adds(functools.partial(classifier, image))
        points.append((_figures(PLAIN, size, accuracy, cost), classifier))
    return points


def _figures(curve: str, setting: float, accuracy: float, cost: float) -> dict[str, Any]:
    return {
        "curve": curve,
        "setting": float(setting),
        "accuracy": float(accuracy),
        "multiply_adds": float(cost),
    }


@torch.no_grad()
def _run_all(classify: Callable[[torch.Tensor], object], batches: Sequence[torch.Tensor]) -> None:
    for images in batches:
        classify(images)
