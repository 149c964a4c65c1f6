"""What the plain classifiers learn that the encoders start from.

As in the paper, an image's label. Or, for tasks whose label is only known from several small
objects, what is in a patch (the local encoder) and where things are in the glance (the global one).
"""

import abc
import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from typing_extensions import override

from gf_env.datasets import Dataset
from gf_env.datasets.base import ImageSpec, located
from gf_env.datasets.batches import Loading, read_batches
from gf_env.network.encoders.base import Encoder
from gf_env.network.image_classifier import ImageClassifier, measure_accuracy
from gf_env.training.contents import (
    ContentsObjective,
    PlacesObjective,
    PresenceObjective,
    named_places,
)
from gf_env.training.objectives import ClassifierObjective, Objective
from gf_env.training.recipe import Recipe
from gf_env.training.samplers import ObjectSampler

OBJECT_PATCHES = 0.75
"""Share of the patches that hold an object whose contents are learned; the others are anywhere."""
_BATCH_SIZE = 250


@dataclass(frozen=True)
class Learned:
    """What a plain classifier learns: the labels of images.

    Attributes:
        images: what they are like; its classes are what the classifier tells.
        input_size: what the classifier sees, pixels.
    """

    images: ImageSpec
    input_size: int

    @classmethod
    def at_full_resolution(cls, recipe: Recipe, images: Dataset) -> "Learned":
        """Return what the classifier learns that the local encoder starts from."""
        if recipe.encoders_learn == "labels":
            return Learned(images.spec, images.spec.image_size)
        names = located(images).content_names
        return Contents(dataclasses.replace(images.spec, classes=names), recipe.patch_size)

    @classmethod
    def made_smaller(cls, recipe: Recipe, images: Dataset, input_size: int) -> "Learned":
        """Return what a classifier of images made smaller learns."""
        if recipe.encoders_learn == "labels":
            return Learned(images.spec, input_size)
        per_cell = recipe.places_per_cell
        names = named_places(located(images).kind_names, per_cell)
        # a classifier has two classes or more
        classes = names if len(names) > 1 else (*names, "nothing")
        spec = dataclasses.replace(images.spec, classes=classes)
        return Places(spec, input_size, per_cell)

    def objective(self, classifier: ImageClassifier, images: Dataset) -> Objective:
        """Return what is minimised on images."""
        return ClassifierObjective(classifier)

    def accuracy(self, classifier: ImageClassifier, images: Dataset, loading: Loading) -> float:
        """Return the share that a classifier in eval mode gets right."""
        return measure_accuracy(classifier, images, loading=loading)


class Presence(Learned):
    """What is there; accuracy is the share of that among as many that are found likeliest."""

    @abc.abstractmethod
    def objective(self, classifier: ImageClassifier, images: Dataset) -> PresenceObjective:
        """Return what is minimised on images."""

    @override
    def accuracy(self, classifier: ImageClassifier, images: Dataset, loading: Loading) -> float:
        return _presence_accuracy(self.objective(classifier, images), images, loading)


class Contents(Presence):
    """What is in patches at full resolution."""

    @override
    def objective(self, classifier: ImageClassifier, images: Dataset) -> PresenceObjective:
        sampler = ObjectSampler(images, self.input_size, OBJECT_PATCHES)
        return ContentsObjective(classifier, located(images), sampler)


@dataclass(frozen=True)
class Places(Presence):
    """Where things are in images made smaller; `per_cell` as in `PlacesObjective`."""

    per_cell: int = 1

    @override
    def objective(self, classifier: ImageClassifier, images: Dataset) -> PresenceObjective:
        return PlacesObjective(classifier, located(images), self.per_cell)


def start_encoder(encoder: Encoder, classifier: ImageClassifier) -> None:
    """Let an encoder start from a classifier's; its own head stays where that has other classes."""
    own, found = encoder.state_dict(), classifier.encoder.state_dict()
    fitting = {name: value for name, value in found.items() if value.shape == own[name].shape}
    encoder.load_state_dict({**own, **fitting})


@torch.no_grad()
def _presence_accuracy(objective: PresenceObjective, images: Dataset, loading: Loading) -> float:
    indices = np.arange(len(images))
    batches = np.split(indices, range(_BATCH_SIZE, len(images), _BATCH_SIZE))
    generator = torch.Generator().manual_seed(0)  # the same patches after every epoch
    found, all_there = 0.0, 0.0
    for batch in read_batches(images, batches, loading):
        logits, there, counts = objective.told(batch, generator)
        ranks = logits.masked_fill(counts == 0, -torch.inf).argsort(1, descending=True).argsort(1)
        likeliest = ranks < there.sum(1, keepdim=True)
        found += float((likeliest * there).sum())
        all_there += float(there.sum())
    return found / max(all_there, 1.0)
