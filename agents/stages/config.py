"""The settings that a training's result depends on."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from pydantic import Field, PositiveInt

from agents.learners.paper_ppo import PaperPPOConfig
from agents.registry.choices import DATASET, one_of
from agents.registry.learners import LEARNERS, get_learner, make_config
from gf_env.builtin_tasks import DEFAULT_TASK
from gf_env.configuration import configuration
from gf_env.datasets.base import UNREADABLE
from gf_env.storage.files import parse_json, read_file, short
from gf_env.training.precision import TrainingPrecision
from gf_env.training.recipe import Recipe
from gf_env.training.starting_weights import TIMM

Phase = Literal["full_resolution", "low_resolution", "stage1", "stage2", "stage3"]
PHASES: tuple[Phase, ...] = get_args(Phase)


@configuration
class DataConfig:
    """The data set and its splits.

    Attributes:
        dataset: name or folder; see `gf_env.load_dataset`.
        network_split: what the network learns from: starting weights, stages 1 and 3.
        policy_split: what the policy learns from, stage 2. Other images than the network's are
            better: on those it has memorised, there is little to gain by looking.
        policy_scenes: how many scenes of a built-in task that split has; the usual number by
            default. Where they are few, a long training learns them by heart.
        validation_split: what every epoch is measured on.
        test_split: what the metrics at the end are of.
        augment: learn from random crops of images on disk, mirrored half of the time.
        unreadable: `stop` at images that cannot be decoded, or `skip` them with a count.
        download: fetch a data set of torchvision or Hugging Face that is not on disk yet.
    """

    dataset: Annotated[str, DATASET] = DEFAULT_TASK
    network_split: str = "pretrain"
    policy_split: str = "train"
    policy_scenes: PositiveInt | None = None
    validation_split: str = "validation"
    test_split: str = "test"
    augment: bool = True
    unreadable: Annotated[str, one_of(UNREADABLE)] = "stop"
    download: bool = False


PAPERS = "paper-ppo"
"""The name of the paper's learner."""
_ON_TENSORS = [name for name, each in LEARNERS.items() if each.chooses_on_tensors]


@configuration
class PolicyConfig:
    """Who learns the policy in stage 2, and on what.

    Attributes:
        learner: a name in `agents.registry.learners.LEARNERS` whose policies are networks of this
            package. The paper's has its settings in `stage2`, and resumes after every epoch; others
            begin anew where they were stopped.
        settings: of another learner, by name; JSON on the command line.
        grid_size: n for policies that choose among n x n patches.
        feature_bank: look features up: see `gf_env.envs.make_task.TaskArguments`.
    """

    learner: Annotated[str, one_of(_ON_TENSORS)] = PAPERS
    settings: Annotated[
        Mapping[str, Any], tyro.conf.arg(constructor=json.loads, metavar="JSON")
    ] = Field(default_factory=dict)
    grid_size: PositiveInt | None = None
    feature_bank: bool = False

    def __post_init__(self) -> None:
        """Refuse a learner or settings that do not exist."""
        if self.learner == PAPERS and self.settings:
            raise ValueError(f"the settings of {PAPERS} are those of stage2, got {self.settings}")
        if not get_learner(self.learner).chooses_on_tensors:
            raise ValueError(
                f"{self.learner} makes policies on whose looks no network can be trained, as they "
                f"do not choose on tensors; choose one of {_ON_TENSORS}"
            )
        self.learner_config()

    def learner_config(self) -> Any:
        """Return the learner's configuration."""
        settings = dict(self.settings)
        seed = settings.pop("seed", 0)
        return make_config(get_learner(self.learner), self.learner, settings, seed)


@configuration
class Given:
    """Networks, policies and weights to use in the place of what a phase would make.

    Attributes:
        full_resolution: weights that the full-resolution classifier starts from: `timm` for those
            that timm fetches for the backbone, or a file; see
            `gf_env.training.starting_weights.load_starting_weights`.
        low_resolution: weights that the low-resolution classifier starts from instead of those of
            the full-resolution one.
        network: a built-in name or a file, for stages 2 and 3; the phases before them are not run.
        policy: a file, for stage 3; stage 2 is not run before it.
    """

    full_resolution: str | None = None
    low_resolution: str | None = None
    network: str | None = None
    policy: str | None = None

    @property
    def instead_of(self) -> frozenset[Phase]:
        """The phases that a network and a policy are given in the place of."""
        made: set[Phase] = set() if self.policy is None else {"stage2"}
        if self.network is not None:
            made |= {"full_resolution", "low_resolution", "stage1"}
        return frozenset(made)


@configuration
class TrainConfig:
    """Everything that a training's result depends on; the defaults are the built-in networks'.

    Attributes:
        data: the data set and its splits.
        recipe: the network and how it is trained.
        stage2: the paper's learner.
        policy: another learner in its place.
        rounds: how many policies are trained, each but the first on the network that learned on
            the looks of the one before; 1 is the paper's order, whose stage 3 comes last.
        given: parts to use instead of training them.
        precision: of the supervised phases; `bfloat16` is mixed precision, `auto` that where the
            device computes in bfloat16 by itself, `float32` elsewhere.
    """

    data: DataConfig = DataConfig()
    recipe: Recipe = Recipe()
    stage2: PaperPPOConfig = PaperPPOConfig()
    policy: PolicyConfig = PolicyConfig()
    rounds: PositiveInt = 1
    given: Given = Given()
    precision: TrainingPrecision = "auto"


def check_learned(config: TrainConfig, phases: Iterable[Phase]) -> None:
    """Check that no phase hands on weights that nothing was learned with.

    Raises:
        ValueError: a phase has no epochs and nothing to start from.
    """
    recipe, given = config.recipe, config.given
    epochs = {"full_resolution": recipe.full_resolution.epochs, "stage1": recipe.stage1.epochs}
    run = [phase for phase in phases if phase not in given.instead_of]
    nothing = [phase for phase in run if epochs.get(phase) == 0]
    if "full_resolution" in nothing and given.full_resolution is None:
        raise ValueError(
            "full_resolution has 0 epochs and no weights to start from, so that its network would "
            f"be untrained: give --given.full-resolution {TIMM} or a file, or "
            "--recipe.full-resolution.epochs"
        )
    if "stage1" in nothing:
        raise ValueError(
            "stage1 has 0 epochs, so that its classifier would be untrained: give "
            "--recipe.stage1.epochs, or --given.network and the phases after it"
        )


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a JSON file, unchecked.

    Raises:
        ValueError: no file that can be read, or no JSON object.
    """
    try:
        found = parse_json(read_file(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"expected a JSON file of settings at {path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected an object of settings in {path}, found {short(found)}")
    return found


def merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return settings with changes put in; groups of settings are dictionaries in both."""
    made = {**settings, **changes}
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(name), dict):
            made[name] = merged(settings[name], value)
    return made
