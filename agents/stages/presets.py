"""Named trainings: of the built-in networks, of Landolt rings, and the paper's of each family.

The latter after the release (blackfeather-wang/GFNet-Pytorch at 8a6775c). The release starts from
weights for ImageNet, here those that timm fetches. It does not say how its weights for the patch's
size were tuned, so that schedule is ours.
"""

import dataclasses
from typing import Any, NamedTuple

from agents.learners.paper_ppo import PaperPPOConfig
from agents.stages.config import PHASES, DataConfig, Given, Phase, PolicyConfig, TrainConfig
from gf_env.network.families import family_of
from gf_env.training.recipe import Recipe
from gf_env.training.schedule import OptimiserConfig

BUILTIN = "cluttered-digits"
STARTING_AND_STAGE1: tuple[Phase, ...] = ("full_resolution", "low_resolution", "stage1")


class Preset(NamedTuple):
    """A named training.

    Attributes:
        config: its settings.
        phases: those that are run unless others are asked for.
    """

    config: TrainConfig
    phases: tuple[Phase, ...] = PHASES


_BY_SGD = OptimiserConfig(
    epochs=3, learning_rate=0.05, classifier_learning_rate=0.2, weight_decay=1e-5, batch_size=128
)
_BY_ADAM = dataclasses.replace(_BY_SGD, epochs=5, classifier_learning_rate=0.003, method="adam")


def _objects_config(
    dataset: str, joining: OptimiserConfig, *, encoder_epochs: int = 4, **recipe: Any
) -> TrainConfig:
    """Return the training of a task whose label is joined from looks at several small objects.

    The encoders learn what is in patches and where it is in glances. They stay as they are when
    the classifier learns to join looks, most of them at objects: then a look costs little, and it
    can see many.

    Args:
        dataset: of all phases.
        joining: how the classifier learns.
        encoder_epochs: of the local encoder; the global one has half as many.
        **recipe: further fields of the recipe.
    """
    encoder = OptimiserConfig(
        epochs=encoder_epochs, learning_rate=0.05, weight_decay=5e-4, batch_size=128
    )
    return TrainConfig(
        data=DataConfig(dataset=dataset),
        recipe=Recipe(
            encoders_learn="contents",
            full_resolution=encoder,
            low_resolution=dataclasses.replace(encoder, epochs=encoder_epochs // 2),
            stage1=joining,
            auxiliary_weight=0.0,
            train_global_encoder=False,
            train_local_encoder=False,
            **recipe,
        ),
        precision="float32",
    )


TASK_PRESETS = {
    BUILTIN: Preset(TrainConfig()),
    "hidden-digits": Preset(
        _objects_config(
            "hidden-digits",
            dataclasses.replace(_BY_SGD, epochs=2),
            encoder_epochs=2,
            object_looks=0.75,
        ),
        STARTING_AND_STAGE1,
    ),
    # the sign more often; all digits alike, or it would show in looks which one counts
    "signposts": Preset(
        _objects_config("signposts", _BY_ADAM, object_looks=0.9, object_weights=(2.0, 1.0)),
        STARTING_AND_STAGE1,
    ),
    "digit-sums": Preset(
        _objects_config("digit-sums", _BY_SGD, object_looks=0.75), STARTING_AND_STAGE1
    ),
}
"""By the name of the built-in network."""


def _by_adam(epochs: int, learning_rate: float) -> OptimiserConfig:
    return OptimiserConfig(
        epochs=epochs,
        learning_rate=learning_rate,
        classifier_learning_rate=0.003,
        weight_decay=1e-5,
        batch_size=64,
        method="adam",
    )


DATA_SET_PRESETS = {
    # a backbone of the paper from nothing: its encoders learn on patches, where a step costs a
    # twenty-fifth of one on whole images
    "landolt-rings": Preset(
        TrainConfig(
            # with the split's 5,000 a belief was right more often on training scenes than on others
            data=DataConfig(dataset="landolt-rings", policy_scenes=20_000),
            recipe=Recipe(
                encoder="mobilenetv3_small_100",
                patch_size=96,
                hidden_size=256,
                encoders_learn="contents",
                places_per_cell=3,  # a cell is 160 pixels wide
                object_looks=0.5,
                full_resolution=_by_adam(8, 0.004),
                low_resolution=_by_adam(6, 0.002),
                stage1=_by_adam(1, 0.001),
                # a label says nothing of where rings are
                auxiliary_weight=0.0,
                train_global_encoder=False,
            ),
            policy=PolicyConfig(
                learner="belief",
                settings={"places": 24, "hidden_size": 256, "evidence_size": 128},
                grid_size=7,
                feature_bank=True,
            ),
            precision="float32",
        ),
        # stage 3 took the accuracy on validation scenes from .998 to .982
        (*STARTING_AND_STAGE1, "stage2"),
    )
}
"""By the name of a data set that has no built-in network."""


class PaperSchedule(NamedTuple):
    """How the release trains one family in stages 1 and 3.

    Attributes:
        encoder: the member of the family in the preset.
        learning_rate: of the encoders; that of the classifier is 0.1 in stage 1, 0.01 in stage 3.
        weight_decay: of all weights.
        epochs: of either stage.
        auxiliary_weight: lambda.
        train_global_encoder: whether the global encoder learns, too.
    """

    encoder: str
    learning_rate: float
    weight_decay: float
    epochs: int
    auxiliary_weight: float
    train_global_encoder: bool


PAPER_SCHEDULES = {
    "resnet": PaperSchedule("resnet50", 0.01, 1e-4, 60, 1.0, True),
    "densenet": PaperSchedule("densenet121", 0.01, 1e-4, 60, 1.0, True),
    "regnet": PaperSchedule("regnety_600m", 0.02, 5e-5, 60, 1.0, True),
    "efficientnet": PaperSchedule("efficientnet_b2", 0.005, 1e-4, 30, 5.0, False),
    "mobilenetv3": PaperSchedule("mobilenetv3_large_100", 0.005, 1e-4, 90, 5.0, False),
}
"""By the family's name; other members of a family are named by `--recipe.encoder`."""

PRESETS = (*TASK_PRESETS, *DATA_SET_PRESETS, *PAPER_SCHEDULES)


def preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises:
        ValueError: unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {list(PRESETS)}")
    made = {**TASK_PRESETS, **DATA_SET_PRESETS}
    return made.get(name) or Preset(_paper_config(PAPER_SCHEDULES[name]))


def _paper_config(paper: PaperSchedule) -> TrainConfig:
    family = family_of(paper.encoder)
    assert family is not None  # the names above are the paper's

    def schedule(epochs: int, classifier_learning_rate: float) -> OptimiserConfig:
        return OptimiserConfig(
            epochs=epochs,
            learning_rate=paper.learning_rate,
            classifier_learning_rate=classifier_learning_rate,
            weight_decay=paper.weight_decay,
            warmup_fraction=0.0,
            anneal="epoch",
        )

    return TrainConfig(
        data=DataConfig(dataset="data/imagenet", network_split="train", test_split="validation"),
        recipe=Recipe(
            encoder=paper.encoder,
            patch_size=96,
            hidden_size=1024,
            glance_interpolation=family.glance_interpolation,
            classifier=family.classifier,
            first_step=family.first_step,
            full_resolution=schedule(0, 0.1),
            low_resolution=schedule(30, 0.1),
            stage1=schedule(paper.epochs, 0.1),
            stage3=schedule(paper.epochs, 0.01),
            auxiliary_weight=paper.auxiliary_weight,
            train_global_encoder=paper.train_global_encoder,
        ),
        stage2=PaperPPOConfig(
            epochs=15, state_encoder=family.state_encoder, hidden_size=family.policy_hidden_size
        ),
        given=Given(full_resolution="timm"),
    )
