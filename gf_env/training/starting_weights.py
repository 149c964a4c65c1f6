"""Weights that training starts from: timm's, or those in a file."""

import warnings
from pathlib import Path
from typing import Any

import torch

from gf_env.network.encoders.base import Encoder
from gf_env.network.encoders.factory import pretrained_weights
from gf_env.network.image_classifier import ImageClassifier, load_image_classifier
from gf_env.storage.tensors import TensorFileError, load_into, read_safetensors, tensor_file_kind
from gf_env.storage.torch_pickles import kind_of, read_pickle

TIMM = "timm"


def load_starting_weights(classifier: ImageClassifier, source: str) -> None:
    """Put weights into a classifier that is about to be trained.

    Where they were made for another number of classes, the classifier's own head stays as it is,
    with a warning.

    Args:
        classifier: gets the weights.
        source: `timm` for those that timm fetches for the backbone; a file written by
            `ImageClassifier.save`; or any safetensors or torch file of the backbone's tensors by
            timm's names, at its top level or under `state_dict` or `model`.

    Raises:
        TensorFileError: a damaged file, or weights of another architecture.
        ValueError: timm has no weights for the backbone.
    """
    encoder = classifier.encoder
    if source == TIMM:
        tensors = pretrained_weights(classifier.config.encoder, classifier.config.images.channels)
    else:
        tensors = _read(encoder, source)
    own = encoder.state_dict()
    head = encoder.head_names()
    other_classes = [
        name for name in head if name in tensors and tensors[name].shape != own[name].shape
    ]
    if other_classes:
        warnings.warn(
            f"the weights in {source} were made for other classes "
            f"({len(tensors[other_classes[0]])} of them); the head starts from random weights",
            stacklevel=2,
        )
        tensors = {**tensors, **{name: own[name] for name in head}}
    load_into(encoder, tensors, source)


def _read(encoder: Encoder, source: str) -> dict[str, torch.Tensor]:
    if not Path(source).is_file():
        raise TensorFileError(f"expected {TIMM!r} or a file of weights, found no file {source!r}")
    if not source.endswith(".safetensors"):
        content = read_pickle(source).parts
        found = content.get("state_dict", content.get("model", content))
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise TensorFileError(f"expected tensors by name in {source}, found {kind_of(found)}")
        return _by_our_names(encoder, found)
    if not tensor_file_kind(source):
        return _by_our_names(encoder, read_safetensors(source)[1])
    return load_image_classifier(source).encoder.state_dict()


def _by_our_names(encoder: Encoder, found: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return tensors by the encoder's names: a wrapper's prefix off, the encoder's own on."""
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    prefix = encoder.prefix
    return {
        name if name.startswith(prefix) else prefix + name: value for name, value in tensors.items()
    }
