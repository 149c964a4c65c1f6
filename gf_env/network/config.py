"""What a `GlanceFocusNet` is made of: every choice that its weights depend on."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gf_env.configuration import configuration
from gf_env.datasets.base import ImageSpec

Interpolation = Literal["bilinear", "bicubic", "area"]
ClassifierKind = Literal["recurrent", "cascaded"]
Precision = Literal["float32", "bfloat16"]
FirstStep = Literal["classifier", "own_head", "own_head_at_inference"]


@configuration
class NetworkConfig:
    """Everything that is needed to build a network anew.

    The fields of `ImageSpec` are among them, so that a file says it all in one level.

    Attributes:
        encoder: name of both backbones, see `gf_env.network.encoders.factory.make_encoder`.
        image_size: S, pixels.
        patch_size: P, pixels; the glance has the same size.
        channels: of the images, 1 or 3.
        classes: class names, in label order.
        mean: per-channel mean that images are normalised with, on the scale [0, 1].
        std: per-channel standard deviation, likewise.
        hidden_size: H, of a recurrent classifier's state.
        sequence_length: T, the glance and one focus step or more.
        glance_interpolation: `bilinear` or `bicubic` as in the paper, or `area`, the mean of what
            each pixel covers.
        classifier: `recurrent`, a GRU, or `cascaded`, a linear layer a step on all pooled vectors
            so far, as the paper has it for MobileNetV3 and EfficientNet.
        first_step: what gives the logits after the glance: `classifier`; `own_head`, the global
            encoder's own (the only choice with a cascaded classifier); or
            `own_head_at_inference`, the classifier in training and the own head otherwise, as the
            paper's release has it for RegNet.
        crop_fraction: see `ImageSpec`.
        resize_interpolation: see `ImageSpec`.
    """

    encoder: str
    image_size: int
    patch_size: int
    channels: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hidden_size: PositiveInt = 128
    sequence_length: Annotated[int, Field(ge=2)] = 5
    glance_interpolation: Interpolation = "bilinear"
    classifier: ClassifierKind = "recurrent"
    first_step: FirstStep = "classifier"
    crop_fraction: float = 0.875
    resize_interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check what concerns several fields."""
        _ = self.image_spec  # checks the fields that it has
        if not 1 <= self.patch_size <= self.image_size:
            raise ValueError(
                f"patch_size {self.patch_size} does not fit images of {self.image_size} x "
                f"{self.image_size} pixels; choose one from 1 to {self.image_size}"
            )
        if self.classifier == "cascaded" and self.first_step != "own_head":
            raise ValueError(
                "a cascaded classifier has no layer for the glance: "
                f"first_step must be 'own_head', got {self.first_step!r}"
            )

    @property
    def image_spec(self) -> ImageSpec:
        """What images must be like."""
        fields = dataclasses.fields(ImageSpec)
        return ImageSpec(**{field.name: getattr(self, field.name) for field in fields})
