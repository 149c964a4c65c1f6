"""How good a frozen network is, and how much there is for a policy to win."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from agents.baselines import CentrePolicy, RandomPolicy
from agents.oracle import GreedyOracle
from gf_env.datasets import Dataset, load_dataset
from gf_env.evaluation import evaluate
from gf_env.image_classifier import ImageClassifier
from gf_env.network import GlanceFocusNet

ORACLE_GRID = 7
MEASURED_SPLITS = ("train", "test")
"""What `network_figures` needs of a data set."""


@torch.no_grad()
def classifier_accuracy(
    classifier: ImageClassifier, dataset: Dataset, batch_size: int = 250
) -> float:
    """Return the share of a data set's images that a plain classifier in eval mode gets right."""
    device = classifier.normalise.mean.device
    correct = 0
    for indices in np.array_split(np.arange(len(dataset)), -(-len(dataset) // batch_size)):
        predictions = classifier(dataset.images(indices).to(device)).argmax(1).cpu().numpy()
        correct += int((predictions == dataset.labels[indices]).sum())
    return correct / len(dataset)


def network_figures(
    network: GlanceFocusNet,
    full_resolution: ImageClassifier,
    dataset: str,
    *,
    num_images: int = 2000,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a network on the first images of the test split.

    Args:
        network: in eval mode.
        full_resolution: the plain classifier it started from, in eval mode.
        dataset: name of the data set.
        num_images: how many at most, also of the train split.
        device: where both are.

    Returns:
        JSON-serialisable figures: accuracy of the plain classifier, after each look of blind rules
        and of the greedy oracle, and the mean return of random patches on train and on test images.
    """

    def measure(policy: Any, split: str) -> Any:
        images = load_dataset(dataset, split, like=network.config.image_spec)
        return evaluate(
            policy,
            network=network,
            dataset=images,
            split=split,
            num_images=min(num_images, len(images)),
            device=device,
        )

    random = measure(RandomPolicy(), "test")
    accuracies = {
        "random": random,
        "centre": measure(CentrePolicy(), "test"),
        "greedy_oracle": measure(GreedyOracle(ORACLE_GRID), "test"),
    }
    test = load_dataset(dataset, "test", like=network.config.image_spec)
    return {
        "test_images": len(random.labels),
        "full_resolution_accuracy": classifier_accuracy(full_resolution, test),
        "glance_accuracy": float(random.accuracy[0]),
        "accuracy_per_look": {name: each.accuracy.tolist() for name, each in accuracies.items()},
        "oracle_grid": ORACLE_GRID,
        "random_mean_return": {
            split: measure(RandomPolicy(), split).mean_return for split in MEASURED_SPLITS
        },
        "multiply_adds": random.multiply_adds.tolist(),
    }
