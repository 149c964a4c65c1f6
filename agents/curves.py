"""The paper's two figures for a trained network: accuracy against cost (section 4.2, figures 4, 5).

GFNet with early exit and with as many looks for every image (anytime), beside plain networks of
the same backbone that see the whole image at several sizes. Early exit is the paper's (budgeted
batch) or, which is ours, at one confidence for all looks. Cost is multiply-adds, the policy's and
the classifier's included, or measured time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

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
EARLY_EXITS = (BUDGETED, CONFIDENT)
STYLES = {
    CONFIDENT: ("GFNet, early exit at one confidence", "-"),
    BUDGETED: ("GFNet, early exit, the paper's budgets", "-"),
    ANYTIME: ("GFNet, same looks for all (anytime)", "o--"),
    PLAIN: ("plain network on the whole image", "s-"),
}
CONFIDENCES = (*(k / 20 for k in range(4, 20)), 0.97, 0.99, 0.995, 0.999)
"""Thresholds of the largest probability at which an image leaves, after any look."""
COSTS = {
    "multiply_adds": ("multiply-adds an image, millions", 1e6),
    "seconds": ("measured time an image, milliseconds", 1e-3),
}


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
) -> list[Point]:
    """Return the points of all curves.

    Args:
        network: in eval mode, on the device to use.
        policy: the paper's, for this network.
        plain: classifiers of whole images by their input size, in eval mode, on the same device.
        validation: where exit thresholds are searched.
        test: what everything is measured on.
        latency: how time is measured.
    """
    device = network.device
    held_out, found = (
        evaluate(policy, network=network, dataset=images, device=device)
        for images in (validation, test)
    )
    count = min(len(test), latency.batch_size * latency.batches)
    batches = torch.split(test.images(np.arange(count)).to(device), latency.batch_size)
    unmeasured = [
        *_anytime(network, policy, found),
        *_budgeted(network, policy, held_out, found),
        *_confident(network, policy, found),
        *_plain(plain, test, device),
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
    plain: Mapping[int, ImageClassifier], test: Dataset, device: torch.device
) -> list[Unmeasured]:
    points: list[Unmeasured] = []
    for size, classifier in sorted(plain.items()):
        accuracy = measure_accuracy(classifier, test, loading=Loading(device))
        image = test.images(np.arange(1)).to(device)
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


def at_equal_accuracy(points: Sequence[Point], curve: str, cost: str) -> list[dict[str, float]]:
    """Compare GFNet with early exit to plain networks that are as often right.

    Args:
        points: see `measure_curves`.
        curve: `budgeted` or `confident`.
        cost: `multiply_adds` or `seconds`.

    Returns:
        For each accuracy that a plain network reaches and GFNet too: `accuracy`, `input_size` of
        the plain network, both costs, and `ratio`, GFNet's divided by the plain network's. GFNet's
        cost is interpolated between the curve's points, after leaving out those that cost more
        and are no better.
    """
    accuracy, spent = _frontier([p for p in points if p.curve == curve], cost)
    rows = []
    for point in (p for p in points if p.curve == PLAIN):
        if not accuracy[0] <= point.accuracy <= accuracy[-1]:
            continue
        ours, theirs = float(np.interp(point.accuracy, accuracy, spent)), getattr(point, cost)
        rows.append(
            {
                "accuracy": point.accuracy,
                "input_size": point.setting,
                "plain": theirs,
                "gfnet": ours,
                "ratio": ours / theirs,
            }
        )
    return rows


def against_interpolated_plain(
    points: Sequence[Point], curve: str, cost: str
) -> list[dict[str, float]]:
    """Compare each point of GFNet to plain networks, interpolated between their sizes.

    Args:
        points: see `measure_curves`.
        curve: `budgeted` or `confident`.
        cost: `multiply_adds` or `seconds`.

    Returns:
        For each point whose accuracy lies within that of the plain networks: its `setting` and
        `accuracy`, both costs, and `ratio`.
    """
    accuracy, spent = _frontier([p for p in points if p.curve == PLAIN], cost)
    rows = []
    for point in (p for p in points if p.curve == curve):
        if not accuracy[0] <= point.accuracy <= accuracy[-1]:
            continue
        ours, theirs = getattr(point, cost), float(np.interp(point.accuracy, accuracy, spent))
        rows.append(
            {
                "accuracy": point.accuracy,
                "setting": point.setting,
                "plain": theirs,
                "gfnet": ours,
                "ratio": ours / theirs,
            }
        )
    return rows


def _frontier(
    points: Sequence[Point], cost: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracies, rising, and the least cost that reaches each."""
    best: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (getattr(p, cost), -p.accuracy)):
        if not best or point.accuracy > best[-1][0]:
            best.append((point.accuracy, getattr(point, cost)))
    accuracy, spent = np.array(best).T
    return accuracy, spent


def summary(points: Sequence[Point]) -> dict[str, Any]:
    """Return points and comparisons, JSON-serialisable."""
    return {
        "points": [asdict(point) for point in points],
        "at_plain_accuracies": _compared(at_equal_accuracy, points),
        "at_gfnet_accuracies": _compared(against_interpolated_plain, points),
    }


def _compared(compare: Callable[..., Any], points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    return {curve: {cost: compare(points, curve, cost) for cost in COSTS} for curve in EARLY_EXITS}


def plot_curves(path: Path, points: Sequence[Point], cost: str, title: str) -> None:
    """Draw accuracy against one cost, a line a curve, as a PNG file."""
    label, unit = COSTS[cost]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve, (name, style) in STYLES.items():
        mine = [p for p in points if p.curve == curve]
        costs = [getattr(p, cost) / unit for p in mine]
        axes.plot(costs, [p.accuracy for p in mine], style, markersize=5, label=name)
        if curve == PLAIN:
            for point, x in zip(mine, costs, strict=True):
                axes.annotate(
                    f"{point.setting:.0f} px",
                    (x, point.accuracy),
                    textcoords="offset points",
                    xytext=(5, -11),
                    fontsize=8,
                )
    axes.set(title=title, xlabel=label, ylabel="accuracy")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
