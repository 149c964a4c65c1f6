"""Reads the checkpoints of the paper's release (blackfeather-wang/GFNet-Pytorch at 8a6775c).

Also those that its training code writes, which do not name the network that they hold. Both are
pickles, of which only tensors, numbers, text and plain containers are read: no code in them runs.
"""

import operator
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gf_env.network.config import NetworkConfig
from gf_env.network.encoders.factory import image_settings
from gf_env.network.families import BACKBONES, Family, family_of
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.storage.files import short
from gf_env.storage.modules import load_into, make_for, set_origin
from gf_env.storage.tensors import TensorFileError
from gf_env.storage.torch_pickles import first_names, kind_of, read_pickle

GLOBAL_ENCODER = "model_prime_state_dict"
LOCAL_ENCODER = "model_state_dict"
CLASSIFIER = "fc"
POLICY = "policy"

_SEQUENCE_LENGTH = 5
"""T of every network in the release."""

_REGNET_BLOCK = {
    "proj.": "downsample.conv.",
    "bn.": "downsample.bn.",
    "f.a.": "conv1.conv.",
    "f.a_bn.": "conv1.bn.",
    "f.b.": "conv2.conv.",
    "f.b_bn.": "conv2.bn.",
    "f.c.": "conv3.conv.",
    "f.c_bn.": "conv3.bn.",
    "f.se.f_ex.0.": "se.fc1.",
    "f.se.f_ex.2.": "se.fc2.",
}
"""Prefixes of names inside a block: the release's and timm's."""


@dataclass(frozen=True)
class OfficialCheckpoint:
    """The content of a file of the release, made by `read_official`.

    Attributes:
        path: where it came from, for errors.
        model_name: which of the eleven networks it holds.
        family: of that network.
        content: all that is in the file, by name.
        sha256: of the file.
    """

    path: Path
    model_name: str
    family: Family
    content: dict[str, Any]
    sha256: str

    def source(self, part: str) -> str:
        """Return the name of a part for errors."""
        return f"{part!r} of {self.path} ({self.model_name})"

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """Return the weights of one part, by their official names without `module.`.

        Raises:
            TensorFileError: no such part, or something else than named tensors in it.
        """
        if part not in self.content:
            raise TensorFileError(
                f"expected a part {part!r} in {self.path}, found {sorted(self.content)}"
            )
        found = self.content[part]
        named = isinstance(found, dict) and all(
            isinstance(name, str) and isinstance(value, torch.Tensor)
            for name, value in found.items()
        )
        if not named or not found:
            raise TensorFileError(
                f"expected tensors by name in {self.source(part)}, "
                f"found {kind_of(found)}; this part was not saved, or is of another program"
            )
        prefix = "module." if all(name.startswith("module.") for name in found) else ""
        return {name.removeprefix(prefix): value for name, value in found.items()}

    def weight(self, part: str, name: str, ndim: int) -> torch.Tensor:
        """Return one weight, whose shape says how large something is.

        Raises:
            TensorFileError: it is missing or has another number of dimensions.
        """
        tensors = self.tensors(part)
        if name not in tensors:
            raise TensorFileError(
                f"expected {name} in {self.source(part)}, found {first_names(sorted(tensors))}; "
                "is it a checkpoint of another network?"
            )
        if tensors[name].ndim != ndim:
            raise TensorFileError(
                f"expected {name} in {self.source(part)} to have {ndim} dimensions, "
                f"found shape {tuple(tensors[name].shape)}"
            )
        return tensors[name]


def read_official(
    path: str | os.PathLike[str], model_name: str | None = None, sha256: str | None = None
) -> OfficialCheckpoint:
    """Read a file of the release on the CPU, whatever device it was written from.

    Args:
        path: the `.pth.tar` file.
        model_name: which network it holds, one of `gf_env.network.families.BACKBONES`; needed
            where the file does not say, as those of the official training do not.
        sha256: of the file, in hexadecimal digits, where it is known. The files of the release
            have no checksums inside, so that damage may pass unseen without it.

    Raises:
        ValueError: unknown or no model_name, or another one than the file's.
        TensorFileError: no file, a damaged one or another than the digest says, or one that holds
            something else.
    """
    if model_name is not None and model_name not in BACKBONES:
        raise ValueError(f"unknown model_name {model_name!r}; choose one of {sorted(BACKBONES)}")
    path = Path(path)
    found = read_pickle(path, sha256)
    content = found.parts
    stored = model_name if content.get("model_name") is None else content["model_name"]
    if stored is None:
        raise ValueError(
            f"{path} does not say which network it holds, as files of the official training do "
            f"not; pass model_name, one of {sorted(BACKBONES)}"
        )
    family = family_of(stored) if isinstance(stored, str) and stored in BACKBONES else None
    if family is None:
        raise TensorFileError(
            f"expected model_name in {path} to be one of {sorted(BACKBONES)}, "
            f"found {short(repr(stored))}"
        )
    if model_name not in (None, stored):
        raise ValueError(f"{path} holds {stored!r}, but model_name is {model_name!r}; leave it out")
    return OfficialCheckpoint(path, stored, family, content, found.sha256)


def load_official_checkpoint(
    path: str | os.PathLike[str],
    *,
    model_name: str | None = None,
    patch_size: int | None = None,
    sha256: str | None = None,
    device: str | torch.device = "cpu",
) -> GlanceFocusNet:
    """Return the network of a released checkpoint, in eval mode with frozen weights.

    Its policy is read by `agents.load_official_policy`.

    Args:
        path: the `.pth.tar` file.
        model_name: see `read_official`.
        patch_size: P, pixels; needed where the file does not say.
        sha256: see `read_official`; what `GlanceFocusNet.save` writes keeps the file's.
        device: where the weights go.

    Raises:
        ValueError: unknown or no model_name or patch_size, or another one than the file's.
        TensorFileError: a damaged file, or weights that are not those of this network.
    """
    checkpoint = read_official(path, model_name, sha256)
    config = _config(checkpoint, _patch_size(checkpoint, patch_size))
    encoder_name = _regnet_name if checkpoint.family.name == "RegNet" else _encoder_name
    names = {
        GLOBAL_ENCODER: encoder_name,
        LOCAL_ENCODER: encoder_name,
        CLASSIFIER: _classifier_name,
    }
    parts = {
        part: {our_name(name): value for name, value in checkpoint.tensors(part).items()}
        for part, our_name in names.items()
    }
    every = {f"{part} {name}": value for part in parts for name, value in parts[part].items()}
    network = make_for(every, lambda: GlanceFocusNet(config), path)
    load_into(network.global_encoder, parts[GLOBAL_ENCODER], checkpoint.source(GLOBAL_ENCODER))
    load_into(network.local_encoder, parts[LOCAL_ENCODER], checkpoint.source(LOCAL_ENCODER))
    load_into(network.classifier, parts[CLASSIFIER], checkpoint.source(CLASSIFIER))
    set_origin(network, checkpoint.sha256)
    return network.to(device).eval().requires_grad_(False)


def _patch_size(checkpoint: OfficialCheckpoint, wanted: int | None) -> int:
    content = checkpoint.content
    found = wanted if content.get("patch_size") is None else content["patch_size"]
    if found is None:
        raise ValueError(f"{checkpoint.path} does not say its patch_size; pass it, in pixels")
    try:
        stored = operator.index(found)
    except TypeError as error:
        raise TensorFileError(
            f"expected patch_size in {checkpoint.path} to be a whole number, found {found!r}"
        ) from error
    if wanted not in (None, stored):
        raise ValueError(
            f"{checkpoint.path} was made with patch_size {stored}, but patch_size is {wanted}; "
            "leave it out"
        )
    return stored


def _config(checkpoint: OfficialCheckpoint, patch_size: int) -> NetworkConfig:
    family = checkpoint.family
    return NetworkConfig(
        encoder=checkpoint.model_name,
        patch_size=patch_size,
        channels=3,
        glance_interpolation=family.glance_interpolation,
        classifier=family.classifier,
        first_step=family.first_step,
        **image_settings(checkpoint.model_name),
        **_classifier_sizes(checkpoint),
    )


def _classifier_sizes(checkpoint: OfficialCheckpoint) -> dict[str, Any]:
    if checkpoint.family.classifier == "recurrent":
        return {
            "classes": _class_names(len(checkpoint.weight(CLASSIFIER, "fc.weight", 2))),
            "hidden_size": checkpoint.weight(CLASSIFIER, "rnn.weight_hh_l0", 2).shape[1],
            "sequence_length": _sequence_length(checkpoint),
        }
    num_classes = len(checkpoint.weight(CLASSIFIER, "fc_2.weight", 2))
    heads = {name.partition(".")[0] for name in checkpoint.tensors(CLASSIFIER)}
    # the glance has no layer there
    return {"classes": _class_names(num_classes), "sequence_length": 1 + len(heads)}


def _sequence_length(checkpoint: OfficialCheckpoint) -> int:
    if "flops" not in checkpoint.content:
        return _SEQUENCE_LENGTH
    flops = checkpoint.content["flops"]  # one cumulative cost a step
    listed = isinstance(flops, (list, tuple, np.ndarray, torch.Tensor))
    if not listed or getattr(flops, "ndim", 1) != 1:
        raise TensorFileError(
            f"expected flops in {checkpoint.path} to be a list of one cost a step, "
            f"found {kind_of(flops)}"
        )
    return len(flops)


def _class_names(num_classes: int) -> tuple[str, ...]:
    if num_classes != 1000:
        return tuple(map(str, range(num_classes)))
    # torchvision takes a second to import, and other data sets do without
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


def _encoder_name(name: str) -> str:
    """Return the name in `TimmEncoder` of one of an encoder's tensors."""
    return f"model.{name}"


def _regnet_name(name: str) -> str:
    block = re.match(r"s\d+\.b\d+\.", name)
    if block is None:
        return _encoder_name(re.sub(r"^fc\.", "head.fc.", name))
    inside = name[block.end() :]
    for theirs, timms in _REGNET_BLOCK.items():
        if inside.startswith(theirs):
            return _encoder_name(block[0] + timms + inside.removeprefix(theirs))
    return _encoder_name(name)


def _classifier_name(name: str) -> str:
    # torch numbers the layers of a GRU, a cell has one
    return re.sub(r"^fc_(\d+)\.", r"heads.\1.", name).removesuffix("_l0")
