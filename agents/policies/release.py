"""The paper's own policies, from the checkpoints of its release.

See `gf_env.network.release` for the files; `gf_env.load_official_checkpoint` reads their networks.
"""

import math
import os

import torch

from agents.policies.paper import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from gf_env.network.release import CLASSIFIER, POLICY, OfficialCheckpoint, read_official
from gf_env.storage.modules import load_into, make_for, set_origin
from gf_env.storage.tensors import TensorFileError

ACTION_STD = 0.1
"""The paper's; checkpoints do not hold it."""

_NAMES = {
    "flat": {"state_encoder.0.": "state_encoder.1.", "state_encoder.2.": "state_encoder.3."},
    "conv": {},
}
"""How weights of the state encoder begin: the release flattens outside of it where it is flat."""


def load_official_policy(
    path: str | os.PathLike[str], *, model_name: str | None = None, sha256: str | None = None
) -> PaperPolicy:
    """Return the policy of a released checkpoint.

    Args:
        path: the `.pth.tar` file.
        model_name: which network it holds; needed where the file does not say, see
            `gf_env.network.release.read_official`.
        sha256: of the file, see there; what `PaperPolicy.save` writes keeps the file's.

    Raises:
        ValueError: unknown or no model_name, or another one than the file's.
        TensorFileError: a damaged file, one without a policy, or a policy of another network.
    """
    checkpoint = read_official(path, model_name, sha256)
    kind = checkpoint.family.state_encoder
    config = PatchProposalConfig(
        feature_shape=_conv_shape(checkpoint) if kind == "conv" else _flat_shape(checkpoint),
        state_encoder=kind,
        hidden_size=checkpoint.weight(POLICY, "gru.weight_hh_l0", 2).shape[1],
        action_std=ACTION_STD,
    )
    tensors = _policy_tensors(checkpoint, kind)
    network = make_for(tensors, lambda: PatchProposalNetwork(config), path)
    load_into(network, tensors, checkpoint.source(POLICY))
    set_origin(network, checkpoint.sha256)
    return PaperPolicy(network)


def _conv_shape(checkpoint: OfficialCheckpoint) -> tuple[int, int, int]:
    reduced, channels = checkpoint.weight(POLICY, "state_encoder.0.weight", 4).shape[:2]
    inputs = checkpoint.weight(POLICY, "state_encoder.3.weight", 2).shape[1]
    return _square(checkpoint, channels, inputs, reduced)


def _flat_shape(checkpoint: OfficialCheckpoint) -> tuple[int, int, int]:
    inputs = checkpoint.weight(POLICY, "state_encoder.0.weight", 2).shape[1]
    # where the policy is flat, the pooled vector that the classifier takes is the map's mean
    channels = checkpoint.weight(CLASSIFIER, "rnn.weight_ih_l0", 2).shape[1]
    return _square(checkpoint, channels, inputs, channels)


def _square(
    checkpoint: OfficialCheckpoint, channels: int, inputs: int, inputs_a_place: int
) -> tuple[int, int, int]:
    side = math.isqrt(inputs // max(inputs_a_place, 1))
    if side < 1 or side * side * inputs_a_place != inputs:
        raise TensorFileError(
            f"expected the linear layer in {checkpoint.source(POLICY)} to take square maps of "
            f"{inputs_a_place} channels, found {inputs} inputs"
        )
    return channels, side, side


def _policy_tensors(checkpoint: OfficialCheckpoint, kind: str) -> dict[str, torch.Tensor]:
    """Return the weights by the names in `PatchProposalNetwork`."""
    renamed = {"actor.0.": "actor.", "critic.0.": "critic.", **_NAMES[kind]}
    tensors = {}
    for name, value in checkpoint.tensors(POLICY).items():
        theirs = next((start for start in renamed if name.startswith(start)), "")
        ours = renamed.get(theirs, "") + name.removeprefix(theirs)
        tensors[ours.removesuffix("_l0")] = value  # torch numbers the layers of a GRU
    return tensors
