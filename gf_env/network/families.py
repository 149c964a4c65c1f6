"""All facts about the backbones of the paper: its five families, their members, their images.

After its release (blackfeather-wang/GFNet-Pytorch at 8a6775c). Released checkpoints are read with
these facts, and networks of these families are trained with them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """How GFNet is put together around backbones of one family.

    Attributes:
        name: the family's.
        model_names: its members, as the release calls them.
        timm_names: timm's names for those that the release calls otherwise.
        glance_interpolation: see `gf_env.NetworkConfig`.
        classifier: likewise.
        first_step: likewise.
        state_encoder: of the policy, `flat` or `conv`; see `agents.PatchProposalConfig`.
        policy_hidden_size: of the policy's GRU.
    """

    name: str
    model_names: tuple[str, ...]
    timm_names: tuple[str, ...]
    glance_interpolation: str
    classifier: str
    first_step: str
    state_encoder: str
    policy_hidden_size: int


FAMILIES = (
    Family(
        name="ResNet",
        model_names=("resnet50",),
        timm_names=(),
        glance_interpolation="bicubic",
        classifier="recurrent",
        first_step="classifier",
        state_encoder="flat",
        policy_hidden_size=1024,
    ),
    Family(
        name="DenseNet",
        model_names=("densenet121", "densenet169", "densenet201"),
        timm_names=(),
        glance_interpolation="bilinear",
        classifier="recurrent",
        first_step="classifier",
        state_encoder="flat",
        policy_hidden_size=1024,
    ),
    Family(
        name="RegNet",
        model_names=("regnety_600m", "regnety_800m", "regnety_1.6g"),
        timm_names=("regnety_006", "regnety_008", "regnety_016"),
        glance_interpolation="bilinear",
        classifier="recurrent",
        first_step="own_head_at_inference",
        state_encoder="conv",
        policy_hidden_size=256,
    ),
    Family(
        name="MobileNetV3",
        model_names=("mobilenetv3_large_100", "mobilenetv3_large_125"),
        timm_names=(),
        glance_interpolation="bicubic",
        classifier="cascaded",
        first_step="own_head",
        state_encoder="conv",
        policy_hidden_size=256,
    ),
    Family(
        name="EfficientNet",
        model_names=("efficientnet_b2", "efficientnet_b3"),
        timm_names=(),
        glance_interpolation="bicubic",
        classifier="cascaded",
        first_step="own_head",
        state_encoder="conv",
        policy_hidden_size=256,
    ),
)
MODEL_NAMES = tuple(name for family in FAMILIES for name in family.model_names)
"""The eleven networks of the release, by its names."""


def family_of(encoder_name: str) -> Family | None:
    """Return the family of one of the paper's networks, None for any other encoder.

    Args:
        encoder_name: the release's name or timm's.
    """
    for family in FAMILIES:
        if encoder_name in family.model_names + family.timm_names:
            return family
    return None


PAPER_NAMES = {
    "resnet50": "resnet50",
    "densenet121": "densenet121",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
    "mobilenetv3_large_100": "mobilenetv3_large_100",
    "mobilenetv3_large_125": "mobilenetv3_large_125",
    "efficientnet_b2": "efficientnet_b2",
    "efficientnet_b3": "efficientnet_b3",
    "regnety_600m": "regnety_006",
    "regnety_800m": "regnety_008",
    "regnety_1.6g": "regnety_016",
}
"""The names in the paper's released checkpoints, and timm's for the same networks."""
_DROP_RATES = {
    "mobilenetv3_large_100": 0.2,
    "mobilenetv3_large_125": 0.2,
    "efficientnet_b2": 0.3,
    "efficientnet_b3": 0.3,
}
"""Dropout of the pooled vector in training, where the paper's release has any."""
_PAPER_SIZES = {"efficientnet_b2": 260, "efficientnet_b3": 300}
_PAPER_CROPS = {"efficientnet_b3": 0.904}
