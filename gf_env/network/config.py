"""What a `GlanceFocusNet` is made of: every choice that its weights depend on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gf_env.datasets.base import ImageSpec

INTERPOLATIONS = ("bilinear", "bicubic", "area")
CLASSIFIERS = ("recurrent", "cascaded")
FIRST_STEPS = ("classifier", "own_head", "own_head_at_inference")


@dataclass(frozen=True)
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
        sequence_length: T, glance included.
        glance_interpolation: `bilinear` or `bicubic` as in the paper, or `area`, the mean of what
            each pixel covers.
        classifier: `recurrent`, a GRU, or `cascaded`, a linear layer a step on all pooled vectors
            so far, as the paper has it for MobileNetV3 and EfficientNet.
        first_step: what says the class after the glance: `classifier`; `own_head`, the global
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
    hidden_size: int = 128
    sequence_length: int = 5
    glance_interpolation: str = "bilinear"
    classifier: str = "recurrent"
    first_step: str = "classifier"
    crop_fraction: float = 0.875
    resize_interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check every value that a later step relies on."""
        # JSON has lists only
        for name in ("classes", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _ = self.image_spec
        if not 1 <= self.patch_size <= self.image_size:
            raise ValueError(
                f"patch_size {self.patch_size} does not fit images of {self.image_size} x "
                f"{self.image_size} pixels; choose one from 1 to {self.image_size}"
            )
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be positive, got {self.hidden_size}")
        if self.sequence_length < 2:
            raise ValueError(
                f"sequence_length counts the glance and needs one focus step or more, "
                f"so 2 at least, got {self.sequence_length}"
            )
        for name, known in (
            ("glance_interpolation", INTERPOLATIONS),
            ("classifier", CLASSIFIERS),
            ("first_step", FIRST_STEPS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; choose one of {list(known)}"
                )
        if self.classifier == "cascaded" and self.first_step != "own_head":
            raise ValueError(
                "a cascaded classifier says nothing after the glance: "
                f"first_step must be 'own_head', got {self.first_step!r}"
            )

    @property
    def image_spec(self) -> ImageSpec:
        """What images must be like."""
        fields = dataclasses.fields(ImageSpec)
        return ImageSpec(**{field.name: getattr(self, field.name) for field in fields})
