"""The whole training of the paper, phase after phase, in one folder (paper, section 3.2).

Starting weights at full resolution and at the patch's size, stage 1 (all parts on random patches),
stage 2 (the policy, the rest frozen), stage 3 (all parts on the policy's patches). A phase takes
the best of the phases before it, or what was given in its place, and writes `<phase>/best` and
`<phase>/last`; see `gf_env.training.loop`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import nn

from agents.baselines import RandomPolicy
from agents.paper_ppo import PaperLearner, PaperPPOConfig
from agents.patch_proposal import PaperPolicy
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.loading import Loading
from gf_env.evaluation import Policy, evaluate
from gf_env.image_classifier import (
    ImageClassifier,
    ImageClassifierConfig,
    load_image_classifier,
    measure_accuracy,
)
from gf_env.network import GlanceFocusNet, load_network
from gf_env.task import make_task
from gf_env.tensor_files import write_atomically
from gf_env.training.loop import Metrics, PhaseFolder, run_phase
from gf_env.training.objectives import (
    ClassifierObjective,
    LocationSampler,
    LooksObjective,
    UniformSampler,
)
from gf_env.training.optimise import OptimiserConfig, make_optimiser
from gf_env.training.recipe import Recipe
from gf_env.training.start import load_starting_weights
from gf_env.training.supervised import PRECISIONS, SupervisedTrainee

PHASES = ("full_resolution", "low_resolution", "stage1", "stage2", "stage3")


@dataclass(frozen=True)
class DataConfig:
    """What is learned from.

    Attributes:
        dataset: name or folder; see `gf_env.load_dataset`.
        network_split: what the network learns from: starting weights, stages 1 and 3.
        policy_split: what the policy learns from, stage 2. On images that the network has learned
            by heart there is little to win by looking, so others are better.
        validation_split: what every epoch is measured on.
        test_split: what the figures at the end are of.
        unreadable: `stop` at images that cannot be decoded, or `skip` them with a count.
    """

    dataset: str = "cluttered-digits"
    network_split: str = "pretrain"
    policy_split: str = "train"
    validation_split: str = "validation"
    test_split: str = "test"
    unreadable: str = "stop"


@dataclass(frozen=True)
class Given:
    """What comes from elsewhere, in the place of what a phase would make.

    Attributes:
        full_resolution: weights that the full-resolution classifier starts from: `timm` for those
            that timm fetches for the backbone, or a file; see
            `gf_env.training.start.load_starting_weights`.
        low_resolution: weights that the low-resolution classifier starts from instead of those of
            the full-resolution one.
        network: a built-in name or a file, for stages 2 and 3 without stage 1.
        policy: a file, for stage 3 without stage 2.
    """

    full_resolution: str | None = None
    low_resolution: str | None = None
    network: str | None = None
    policy: str | None = None


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training's result depends on; the defaults make the built-in networks.

    Attributes:
        data: what is learned from.
        recipe: what is made and how.
        stage2: the paper's learner.
        given: what comes from elsewhere.
        precision: of the supervised phases, `bfloat16` (mixed) or `float32`.
    """

    data: DataConfig = field(default_factory=DataConfig)
    recipe: Recipe = field(default_factory=Recipe)
    stage2: PaperPPOConfig = field(default_factory=PaperPPOConfig)
    given: Given = field(default_factory=Given)
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        """Check every value."""
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"unknown precision {self.precision!r}; choose one of {list(PRECISIONS)}"
            )


def claim_folder(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make sure that a folder is this training's, and write its configuration there.

    Raises:
        ValueError: the folder holds a training and `resume` is False, or one of another
            configuration.
    """
    path = folder / "config.json"
    described = json.loads(json.dumps(dataclasses.asdict(config)))
    if path.is_file():
        if not resume:
            raise ValueError(
                f"{folder} holds a training already: go on with it by --resume, or choose another "
                "--output"
            )
        differing = list(_differences(json.loads(path.read_text()), described))
        if differing:
            raise ValueError(
                f"the training in {folder} was begun with other settings: "
                f"{'; '.join(differing)}. Go on with the same ones, or choose another --output"
            )
    write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())


def _differences(before: Any, now: Any, name: str = "") -> Any:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield f"{name} was {before!r} and is {now!r}"


def check_phases(phases: Sequence[str]) -> None:
    """Refuse phases that do not exist.

    Raises:
        ValueError: an unknown phase.
    """
    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown:
        raise ValueError(f"unknown phases {unknown}; choose from {list(PHASES)}")


class TrainingRun:
    """One training in one folder.

    Args:
        config: see `TrainConfig`.
        folder: where the files go.
        loading: device and workers.
        progress: shows a bar for each epoch.

    Attributes:
        images: what the network learns from.
        policy_images: what the policy learns from.
        validation: what every epoch is measured on.
        test: what the figures at the end are of.

    Raises:
        ValueError: a split that is not there, or splits of different classes.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, *, loading: Loading, progress: Progress
    ) -> None:
        self.config = config
        self.folder = folder
        self.loading = loading
        self._progress = progress
        data = config.data
        # a split that is missing is better said before training than after
        self.images = self._load(data.network_split)
        self.policy_images = self._load(data.policy_split)
        self.validation = self._load(data.validation_split)
        self.test = self._load(data.test_split)
        for other in (self.policy_images, self.validation, self.test):
            if other.spec.classes != self.images.spec.classes:
                raise ValueError(
                    f"split {other.split!r} of {other.name} has the classes "
                    f"{other.spec.classes}, split {self.images.split!r} has "
                    f"{self.images.spec.classes}"
                )

    def _load(self, split: str) -> Dataset:
        data = self.config.data
        like = self.config.recipe.wanted_images()
        return load_dataset(data.dataset, split, like=like, unreadable=data.unreadable)

    def run(self, phases: Sequence[str] = PHASES) -> None:
        """Run phases in the order given; those that are done already take no time.

        Raises:
            ValueError: an unknown phase, or one whose beginnings are neither given nor made.
        """
        check_phases(phases)
        for phase in phases:
            getattr(self, phase)()

    def place(self, phase: str) -> PhaseFolder:
        """Return where the files of a phase are."""
        return PhaseFolder(self.folder / phase)

    def full_resolution(self) -> None:
        """Train the plain classifier that the local encoder starts from."""
        recipe, given = self.config.recipe, self.config.given
        classifier = self._new_classifier(self.images.spec.image_size)
        if given.full_resolution is not None:
            load_starting_weights(classifier, given.full_resolution)
        self._train_classifier("full_resolution", classifier, recipe.full_resolution)

    def low_resolution(self) -> None:
        """Train the plain classifier that the global encoder starts from.

        As in the paper, it starts from the weights for whole images, tuned at its own size.
        """
        self.train_smaller("low_resolution", self.config.recipe.patch_size)

    def train_smaller(self, phase: str, input_size: int) -> None:
        """Train a plain classifier of images made smaller, as a phase of that name."""
        given = self.config.given
        classifier = self._new_classifier(input_size)
        if given.low_resolution is not None:
            load_starting_weights(classifier, given.low_resolution)
        else:
            classifier.encoder.load_state_dict(self._made("full_resolution").encoder.state_dict())
        self._train_classifier(phase, classifier, self.config.recipe.low_resolution)

    def _train_classifier(
        self, phase: str, classifier: ImageClassifier, schedule: OptimiserConfig
    ) -> None:

        def validate() -> Metrics:
            return {
                "validation/accuracy": measure_accuracy(
                    classifier, self.validation, loading=self.loading
                )
            }

        self._supervise(
            phase,
            classifier,
            ClassifierObjective(classifier),
            make_optimiser([classifier], [], schedule),
            schedule,
            validate,
        )

    def stage1(self) -> None:
        """Train all parts of the network on random patches."""
        recipe = self.config.recipe
        with _seeded(recipe.seed):
            network = GlanceFocusNet(recipe.network_config(self.images.spec))
        full, low = (self._made(phase) for phase in ("full_resolution", "low_resolution"))
        network.local_encoder.load_state_dict(full.encoder.state_dict())
        network.global_encoder.load_state_dict(low.encoder.state_dict())
        self._train_looks("stage1", network, UniformSampler(), RandomPolicy, recipe.stage1)

    def stage2(self) -> None:
        """Train the policy on the frozen network."""
        network = self._network()
        task = make_task(network=network, dataset=self.policy_images, device=self.loading.device)

        def validate(policy: PaperPolicy) -> Metrics:
            return self._validate(network, policy)

        learner = PaperLearner(
            task, self.config.stage2, validate=validate, workers=self.loading.workers
        )
        run_phase(learner, self.place("stage2"), name="stage2", progress=self._progress)

    def stage3(self) -> None:
        """Train all parts of the network on the policy's patches."""
        recipe = self.config.recipe
        policy = self._policy()
        sampler = policy.network.to(self.loading.device).eval().requires_grad_(False)
        network = self._network().requires_grad_(True)
        self._train_looks("stage3", network, sampler, lambda: policy, recipe.stage3)

    def _train_looks(
        self,
        phase: str,
        network: GlanceFocusNet,
        sampler: LocationSampler,
        make_policy: Callable[[], Policy],
        schedule: OptimiserConfig,
    ) -> None:
        recipe = self.config.recipe
        network.to(self.loading.device)
        objective = LooksObjective(
            network, sampler, recipe.auxiliary_weight, recipe.train_global_encoder
        )
        encoders = [network.global_encoder, network.local_encoder]
        self._supervise(
            phase,
            network,
            objective,
            make_optimiser(encoders, [network.classifier], schedule),
            schedule,
            lambda: self._validate(network, make_policy()),
        )

    def _supervise(
        self,
        phase: str,
        module: ImageClassifier | GlanceFocusNet,
        objective: nn.Module,
        optimiser: torch.optim.Optimizer,
        schedule: OptimiserConfig,
        validate: Callable[[], Metrics],
    ) -> None:
        trainee = SupervisedTrainee(
            phase,
            module,
            objective,
            optimiser,
            self.images,
            schedule,
            validate,
            loading=self.loading,
            precision=self.config.precision,
            seed=self.config.recipe.seed,
        )
        run_phase(trainee, self.place(phase), name=phase, progress=self._progress)

    def _validate(self, network: GlanceFocusNet, policy: Policy) -> Metrics:
        result = evaluate(
            policy, network=network, dataset=self.validation, device=self.loading.device
        )
        looks = {
            f"validation/accuracy_step_{step}": float(value)
            for step, value in enumerate(result.accuracy, start=1)
        }
        return {
            "validation/accuracy": float(result.accuracy[-1]),
            "validation/episodic_return": result.mean_return,
            **looks,
        }

    def _new_classifier(self, input_size: int) -> ImageClassifier:
        recipe = self.config.recipe
        config = ImageClassifierConfig(
            recipe.encoder, input_size, recipe.glance_interpolation, self.images.spec
        )
        with _seeded(recipe.seed):
            return ImageClassifier(config).to(self.loading.device)

    def _made(self, phase: str) -> ImageClassifier:
        return load_image_classifier(self._result(phase, None), self.loading.device)

    def _network(self) -> GlanceFocusNet:
        source = self._result("stage1", self.config.given.network)
        return load_network(source, self.loading.device)

    def _policy(self) -> PaperPolicy:
        return PaperPolicy.load(self._result("stage2", self.config.given.policy))

    def _result(self, phase: str, given: str | None) -> str | Path:
        if given is not None:
            return given
        best = self.place(phase).best
        if not best.is_file():
            raise ValueError(
                f"{best} is needed first: run phase {phase!r}"
                + (", or give a file instead" if phase in ("stage1", "stage2") else "")
            )
        return best


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw weights with a seed; modules take them from the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
