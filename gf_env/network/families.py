"""All facts about the backbones of the paper: its five families, their members, their images.

After its release (blackfeather-wang/GFNet-Pytorch at 8a6775c). Released checkpoints are read with
these facts, and networks of these families are trained with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # these facts take no time to import, and torch does
    from gf_env.network.config import ClassifierKind, FirstStep, Interpolation


@dataclass(frozen=True)
class Backbone:
    """One of the paper's eleven networks.

    Attributes:
        name: in the release.
        timm_name: of the same network in timm.
        image_size: pixels.
        crop_fraction: see `gf_env.ImageSpec`.
        drop_rate: of the pooled vector in training.
    """

    name: str
    timm_name: str
    image_size: int = 224
    crop_fraction: float = 0.875
    drop_rate: float = 0.0


@dataclass(frozen=True)
class Family:
    """How GFNet is put together around backbones of one family.

    Attributes:
        name: the family's.
        members: its backbones.
        glance_interpolation: see `gf_env.NetworkConfig`.
        classifier: likewise.
        first_step: likewise.
        state_encoder: of the policy, see `agents.PatchProposalConfig`.
        policy_hidden_size: of the policy's GRU.
        resize_interpolation: of image files, see `gf_env.ImageSpec`.
    """

    name: str
    members: tuple[Backbone, ...]
    glance_interpolation: Interpolation
    classifier: ClassifierKind
    first_step: FirstStep
    state_encoder: Literal["conv", "flat"]
    policy_hidden_size: int
    resize_interpolation: Literal["bilinear", "bicubic"] = "bilinear"


FAMILIES = (
    Family(
        name="ResNet",
        members=(Backbone("resnet50", "resnet50"),),
        glance_interpolation="bicubic",
        classifier="recurrent",
        first_step="classifier",
        state_encoder="flat",
        policy_hidden_size=1024,
    ),
    Family(
        name="DenseNet",
        members=(
            Backbone("densenet121", "densenet121"),
            Backbone("densenet169", "densenet169"),
            Backbone("densenet201", "densenet201"),
        ),
        glance_interpolation="bilinear",
        classifier="recurrent",
        first_step="classifier",
        state_encoder="flat",
        policy_hidden_size=1024,
    ),
    Family(
        name="RegNet",
        members=(
            Backbone("regnety_600m", "regnety_006"),
            Backbone("regnety_800m", "regnety_008"),
            Backbone("regnety_1.6g", "regnety_016"),
        ),
        glance_interpolation="bilinear",
        classifier="recurrent",
        first_step="own_head_at_inference",
        state_encoder="conv",
        policy_hidden_size=256,
    ),
    Family(
        name="MobileNetV3",
        members=(
            Backbone("mobilenetv3_large_100", "mobilenetv3_large_100", drop_rate=0.2),
            Backbone("mobilenetv3_large_125", "mobilenetv3_large_125", drop_rate=0.2),
        ),
        glance_interpolation="bicubic",
        classifier="cascaded",
        first_step="own_head",
        state_encoder="conv",
        policy_hidden_size=256,
    ),
    Family(
        name="EfficientNet",
        members=(
            Backbone("efficientnet_b2", "efficientnet_b2", 260, drop_rate=0.3),
            Backbone("efficientnet_b3", "efficientnet_b3", 300, crop_fraction=0.904, drop_rate=0.3),
        ),
        glance_interpolation="bicubic",
        classifier="cascaded",
        first_step="own_head",
        state_encoder="conv",
        policy_hidden_size=256,
        resize_interpolation="bicubic",
    ),
)
BACKBONES = {backbone.name: backbone for family in FAMILIES for backbone in family.members}
"""The eleven networks by their names in the release."""


def family_of(encoder_name: str) -> Family | None:
    """Return the family of one of the paper's networks, None for any other encoder.

    Args:
        encoder_name: in the release or in timm.
    """
    for family in FAMILIES:
        if any(encoder_name in (each.name, each.timm_name) for each in family.members):
            return family
    return None
