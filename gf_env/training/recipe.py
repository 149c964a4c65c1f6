"""The recipe of a network: sizes, schedules and all else that its training depends on."""

import dataclasses
from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from gf_env.configuration import Fraction, configuration
from gf_env.datasets.base import ImageSpec, imagenet_spec
from gf_env.network.config import ClassifierKind, FirstStep, Interpolation, NetworkConfig
from gf_env.network.encoders.factory import image_settings
from gf_env.training.schedule import OptimiserConfig


@configuration
class Recipe:
    """How a network is made; the defaults are the built-in ones'.

    Attributes:
        encoder: name of the backbone.
        image_size: S, pixels; the backbone's own by default, the data set's where it has none.
        crop_fraction: share of a file's side that is kept, see `ImageSpec`; the backbone's own by
            default.
        patch_size: P, pixels.
        hidden_size: H, of a recurrent classifier.
        sequence_length: T, glance included.
        glance_interpolation: `bilinear`, `bicubic` or `area`.
        classifier: `recurrent` or `cascaded`.
        first_step: see `gf_env.NetworkConfig`.
        encoders_learn: what the classifiers tell that encoders start from: an image's `labels` as
            in the paper, or the `contents` of patches and places in the glance, for tasks whose
            label is joined from several looks; see `gf_env.training.contents`.
        places_per_cell: n for n x n places that the global encoder learns to tell apart in each
            cell of its feature map, where it learns places; for cells larger than a patch.
        object_looks: share of the looks of stage 1 that go to objects, the others go anywhere; for
            data sets that are `gf_env.datasets.base.Located`.
        object_weights: how likely each object is in those, see
            `gf_env.training.samplers.ObjectSampler`.
        full_resolution: schedule of the classifier that the local encoder starts from.
        low_resolution: schedule of the classifier that the global encoder starts from.
        stage1: schedule of stage 1.
        stage3: schedule of stage 3.
        auxiliary_weight: lambda, the weight of the encoders' own losses in stages 1 and 3.
        train_global_encoder: whether stages 1 and 3 train it, too.
        train_local_encoder: likewise.
        seed: of weights, order, augmentation and locations.
    """

    encoder: str = "small-cnn"
    image_size: int | None = None
    crop_fraction: float | None = None
    patch_size: PositiveInt = 24
    hidden_size: PositiveInt = 128
    sequence_length: int = 5
    glance_interpolation: Interpolation = "area"
    classifier: ClassifierKind = "recurrent"
    first_step: FirstStep = "classifier"
    encoders_learn: Literal["labels", "contents"] = "labels"
    places_per_cell: PositiveInt = 1
    object_looks: Fraction = 0.0
    object_weights: tuple[PositiveFloat, ...] = (1.0,)
    full_resolution: OptimiserConfig = OptimiserConfig(
        epochs=2, learning_rate=0.05, weight_decay=1e-3, batch_size=64
    )
    low_resolution: OptimiserConfig = OptimiserConfig(
        epochs=5, learning_rate=0.05, weight_decay=5e-4, batch_size=64
    )
    stage1: OptimiserConfig = OptimiserConfig(
        epochs=3,
        learning_rate=0.02,
        classifier_learning_rate=0.05,
        weight_decay=5e-4,
        batch_size=64,
    )
    stage3: OptimiserConfig = OptimiserConfig(
        epochs=4,
        learning_rate=0.02,
        classifier_learning_rate=0.02,
        weight_decay=5e-4,
        batch_size=64,
    )
    auxiliary_weight: float = 1.0
    train_global_encoder: bool = True
    train_local_encoder: bool = True
    seed: int = 0

    def wanted_images(self) -> ImageSpec | None:
        """Return what image files are resized to, or None where the data set decides."""
        values = image_settings(self.encoder)
        chosen = {"image_size": self.image_size, "crop_fraction": self.crop_fraction}
        values |= {name: value for name, value in chosen.items() if value is not None}
        if not values:
            return None
        any_classes = ("", "")  # the folders' classes take their place
        return dataclasses.replace(imagenet_spec(any_classes), **values)

    def network_config(self, images: ImageSpec) -> NetworkConfig:
        """Return the configuration of a network for such images.

        Raises:
            ValueError: values that do not fit each other.
        """
        return NetworkConfig(
            encoder=self.encoder,
            patch_size=self.patch_size,
            hidden_size=self.hidden_size,
            sequence_length=self.sequence_length,
            glance_interpolation=self.glance_interpolation,
            classifier=self.classifier,
            first_step=self.first_step,
            **dataclasses.asdict(images),
        )
