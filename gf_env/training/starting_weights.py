"""Weights that training starts from: timm's, or those in a file."""

import warnings
from pathlib import Path
from typing import Any

import torch

from gf_env.network.encoders.base import Encoder
from gf_env.network.encoders.factory import pretrained_weights
from gf_env.network.families import BACKBONES
from gf_env.network.image_classifier import ImageClassifier, load_image_classifier
from gf_env.storage.modules import load_into
from gf_env.storage.tensors import TensorFileError, read_safetensors, tensor_file_kind
from gf_env.storage.torch_pickles import kind_of, read_pickle

TIMM = "timm"
_PATIENCE = 10
"""Seconds that a hub may take to answer."""


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
        OSError: timm cannot fetch them.
    """
    encoder = classifier.encoder
    if source == TIMM:
        tensors = _fetch(classifier.config.encoder, classifier.config.images.channels)
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


def _fetch(name: str, channels: int) -> dict[str, torch.Tensor]:
    """Return timm's weights for a backbone; without a connection, fail at once."""
    try:
        _check_connection(name)
        return pretrained_weights(name, channels)
    except OSError as error:
        raise OSError(
            f"the weights of {name} cannot be fetched ({str(error).splitlines()[0]}): connect this "
            "machine, or fetch them on another and name the file, --given.full-resolution FILE"
        ) from error


def _check_connection(name: str) -> None:
    """Ask once whether the hub answers, as its client asks for a minute; not for what is cached.

    Raises:
        OSError: it does not.
    """
    import huggingface_hub
    import timm

    name = BACKBONES[name].timm_name if name in BACKBONES else name
    known = timm.is_model(name) and timm.get_pretrained_cfg(name)
    repository = known.hf_hub_id if known else None
    files = ("model.safetensors", "pytorch_model.bin")
    cached = huggingface_hub.try_to_load_from_cache
    if repository is None or any(isinstance(cached(repository, file), str) for file in files):
        return
    place = huggingface_hub.constants.ENDPOINT
    try:
        huggingface_hub.get_session().head(place, timeout=_PATIENCE)
    except Exception as error:  # of whichever library the client is made with
        raise OSError(f"{place} does not answer: {error}") from error


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
