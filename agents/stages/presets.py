"""The paper's training of each family, as configurations of `agents.stages.run`.

After the release (blackfeather-wang/GFNet-Pytorch at 8a6775c). The release starts from weights for
ImageNet, here those that timm fetches. It does not say how its weights for the patch's size were
tuned, so that schedule is ours.
"""

from typing import NamedTuple

from agents.learners.paper_ppo import PaperPPOConfig
from agents.stages.config import DataConfig, Given, TrainConfig
from gf_env.network.families import family_of
from gf_env.training.recipe import Recipe
from gf_env.training.schedule import OptimiserConfig

BUILTIN = "cluttered-digits"


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

PRESETS = (BUILTIN, *PAPER_SCHEDULES)


def preset(name: str) -> TrainConfig:
    """Return the preset of that name.

    Raises:
        ValueError: unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {list(PRESETS)}")
    return TrainConfig() if name == BUILTIN else _paper_config(PAPER_SCHEDULES[name])


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
