"""Any convolutional network of timm as an encoder, the paper's eleven among them.

The feature map is timm's `forward_features` and the pooled vector its `forward_head` before the
classifier, which for the paper's networks are what its release calls them (for MobileNetV3 the
pooled vector comes after the head convolution).
"""

from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import mobilenetv3
from torch import nn
from typing_extensions import override

from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.encoders.small_cnn import SMALL_CNN
from gf_env.network.families import BACKBONES, family_of

_WIDE_MOBILENET = "mobilenetv3_large_125"


class TimmEncoder(Encoder):
    """A timm network with its own classifier as the head.

    Args:
        name: timm's, or one of the paper's, `gf_env.network.families.BACKBONES`.
        channels: of the images.
        num_classes: number of logits.

    Raises:
        ValueError: timm has no such network, or it does not make a feature map (n, C, h, w).
    """

    prefix = "model."

    def __init__(self, name: str, channels: int, num_classes: int) -> None:
        super().__init__()
        self.model = _create(name, channels, num_classes)
        if not hasattr(self.model, "forward_head"):
            raise ValueError(f"timm's {name} has no head apart from its features")
        self.num_features: int = self.model.head_hidden_size

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images."""
        features = self.model.forward_features(images)
        if features.ndim != 4:
            raise ValueError(
                "an encoder has to make a feature map (n, channels, h, w); "
                f"this network gives {tuple(features.shape)}"
            )
        return Encoding(features, self.pool(features))

    @override
    def pool(self, features: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.model.forward_head(features, pre_logits=True)
        return pooled

    @property
    def own_head(self) -> nn.Module:
        """The network's classifier."""
        head: nn.Module = self.model.get_classifier()
        return head


def timm_image_settings(name: str) -> dict[str, Any]:
    """Return what images a network is made for, as `image_settings` does.

    The paper's networks have the settings of its release (blackfeather-wang/GFNet-Pytorch at
    8a6775c), which for some differ from timm's of today.

    Raises:
        ValueError: unknown name, or timm has no settings for it.
    """
    backbone, family = BACKBONES.get(name), family_of(name)
    if backbone is not None and family is not None:
        return dict(
            image_size=backbone.image_size,
            mean=IMAGENET_DEFAULT_MEAN,
            std=IMAGENET_DEFAULT_STD,
            crop_fraction=backbone.crop_fraction,
            resize_interpolation=family.resize_interpolation,
        )
    made_for = timm.get_pretrained_cfg(_timm_name(name))
    if made_for is None:
        raise ValueError(f"timm does not say what images {name} is made for")
    return dict(
        image_size=made_for.input_size[-1],
        mean=made_for.mean,
        std=made_for.std,
        crop_fraction=made_for.crop_pct,
        resize_interpolation=made_for.interpolation,
    )


def pretrained_timm_weights(name: str, channels: int) -> dict[str, torch.Tensor]:
    """Return the weights that timm fetches, by `TimmEncoder`'s names; once fetched, they are kept.

    Raises:
        ValueError: timm has none for it.
    """
    name = _timm_name(name)
    if not timm.is_model_pretrained(name):
        raise ValueError(f"timm has no weights for {name!r}; give a file, or train from nothing")
    fetched = timm.create_model(name, pretrained=True, in_chans=channels).state_dict()
    return {f"{TimmEncoder.prefix}{key}": value for key, value in fetched.items()}


def _timm_name(name: str) -> str:
    if name in BACKBONES:
        return BACKBONES[name].timm_name
    if not timm.is_model(name):
        raise ValueError(
            f"unknown encoder {name!r}; choose {SMALL_CNN!r}, one of {sorted(BACKBONES)}, or "
            "another name that timm knows (timm.list_models())"
        )
    return name


def _create(name: str, channels: int, num_classes: int) -> Any:
    settings: dict[str, Any] = {
        "in_chans": channels,
        "num_classes": num_classes,
        "drop_rate": BACKBONES[name].drop_rate if name in BACKBONES else 0.0,
    }
    if name == _WIDE_MOBILENET:
        # no registered name, but timm's generator makes the same network 1.25 times as wide
        return mobilenetv3._gen_mobilenet_v3("mobilenetv3_large_100", 1.25, **settings)
    return timm.create_model(_timm_name(name), **settings)
