"""The whole training of the paper, phase after phase, in one folder (paper, section 3.2).

Starting weights at full resolution and at the patch's size, stage 1 (all parts on random patches),
stage 2 (the policy, the rest frozen), stage 3 (all parts on the policy's patches). A phase starts
from the best of the phases before it, or from what was given in its place, and writes
`<phase>/best` and `<phase>/last`; see `gf_env.training.loop`. Stages 2 and 3 may take turns: then
each has a folder a round, from the second on `<phase>-round-<number>`.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import Progress

from agents.learners.paper_ppo import PaperLearner
from agents.policies.network_policy import NetworkPolicy
from agents.policies.planner import ObjectPolicy
from agents.policies.rules import RandomPolicy
from agents.policies.sampler import PolicySampler
from agents.registry.files import load_policy
from agents.stages.config import PAPERS, PHASES, TrainConfig
from agents.stages.folders import phase_folder
from agents.stages.policy_phase import learn_policy
from agents.stages.starting_classifiers import Learned, start_encoder
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.batches import Loading
from gf_env.envs.make_task import make_task
from gf_env.evaluation import evaluate
from gf_env.network.glance_focus_net import GlanceFocusNet, load_network
from gf_env.network.image_classifier import (
    ImageClassifier,
    ImageClassifierConfig,
    load_image_classifier,
)
from gf_env.policy import Policy, PrivilegedPolicy
from gf_env.training.loop import ACCURACY, Metrics, PhaseFolder, run_phase
from gf_env.training.objectives import LooksObjective, Objective
from gf_env.training.samplers import LocationSampler, ObjectSampler, UniformSampler
from gf_env.training.schedule import OptimiserConfig
from gf_env.training.seeding import seeded_weights
from gf_env.training.starting_weights import load_starting_weights
from gf_env.training.supervised import SupervisedTrainee

CONFIDENCE = "validation/confidence"


def load_split(config: TrainConfig, split: str, size: int | None = None) -> Dataset:
    """Return a split as a training sees it, of a built-in task with so many scenes.

    Raises:
        ValueError: a split that is not there, or a size where there are no scenes to be made.
    """
    data, like = config.data, config.recipe.wanted_images()
    return load_dataset(
        data.dataset,
        split,
        size=size,
        like=like,
        unreadable=data.unreadable,
        download=data.download,
    )


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
        test: what the metrics at the end are of.

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
        # so that a missing split is an error before the training, not at its end
        self.images = load_split(config, data.network_split)
        self.policy_images = load_split(config, data.policy_split, data.policy_scenes)
        self.validation = load_split(config, data.validation_split)
        self.test = load_split(config, data.test_split)
        classes = self.images.spec.classes
        for other in (self.policy_images, self.validation, self.test):
            if other.spec.classes != classes:
                raise ValueError(
                    f"split {other.split!r} of {other.name} has the classes "
                    f"{other.spec.classes}, split {self.images.split!r} has {classes}"
                )

    def run(self, phases: Sequence[str] = PHASES) -> None:
        """Run phases in the order given; those that are done already take no time.

        Those in whose place a network or a policy is given are left out. With several rounds stages
        2 and 3 take turns where they would be run, and stage 2 is last.

        Raises:
            ValueError: an unknown phase, one that starts from something neither given nor made,
                nothing that is not given, rounds without both stages, or a policy that was given
                and cannot steer training.
        """
        unknown = [phase for phase in phases if phase not in PHASES]
        if unknown:
            raise ValueError(f"unknown phases {unknown}; choose from {list(PHASES)}")
        takes_turns = {"stage2", "stage3"} <= {*phases}
        if self.config.rounds > 1 and not takes_turns:
            raise ValueError(
                f"{self.config.rounds} rounds are of stage2 and stage3 in turn; run both, got "
                f"{list(phases)}"
            )
        left = [phase for phase in phases if phase not in self.config.given.instead_of]
        if not left and self.config.rounds == 1:
            raise ValueError(f"what {list(phases)} would make is given, so there is nothing to do")
        if "stage3" in phases:
            self._check_steering()
        for phase in left:
            getattr(self, phase)()  # each is a method
        if takes_turns:
            for number in range(2, self.config.rounds + 1):
                self.stage2(number)
                if number < self.config.rounds:
                    self.stage3(number)

    def _check_steering(self) -> None:
        """Check a policy that was given before anything is trained.

        Raises:
            ValueError: it cannot steer training.
        """
        given = self.config.given
        if given.policy is None:
            return
        if given.network is None:
            network = self._new_network().eval()
        else:
            network = load_network(given.network)
        PolicySampler(load_policy(given.policy), network)

    def _new_network(self) -> GlanceFocusNet:
        recipe = self.config.recipe
        with seeded_weights(recipe.seed):
            return GlanceFocusNet(recipe.network_config(self.images.spec))

    def place(self, phase: str, number: int = 1) -> PhaseFolder:
        """Return where the files of a phase are, in a round counted from 1."""
        return PhaseFolder(phase_folder(self.folder, phase, number))

    def full_resolution(self) -> None:
        """Train the plain classifier that the local encoder starts from."""
        recipe, given = self.config.recipe, self.config.given
        learned = Learned.at_full_resolution(recipe, self.images)
        classifier = self._new_classifier(learned)
        if given.full_resolution is not None:
            load_starting_weights(classifier, given.full_resolution)
        self._train_classifier("full_resolution", classifier, learned, recipe.full_resolution)

    def full_resolution_accuracy(self) -> float:
        """Return the accuracy of the classifier of that phase on test images."""
        learned = Learned.at_full_resolution(self.config.recipe, self.images)
        return learned.accuracy(self._classifier("full_resolution"), self.test, self.loading)

    def low_resolution(self) -> None:
        """Train the plain classifier that the global encoder starts from.

        As in the paper, it starts from the weights for full resolution, tuned at its own size.
        """
        self.train_smaller("low_resolution", self.config.recipe.patch_size)

    def train_smaller(self, phase: str, input_size: int) -> None:
        """Train a plain classifier of images made smaller, as a phase of that name."""
        recipe, given = self.config.recipe, self.config.given
        learned = Learned.made_smaller(recipe, self.images, input_size)
        classifier = self._new_classifier(learned)
        if given.low_resolution is not None:
            load_starting_weights(classifier, given.low_resolution)
        else:
            start_encoder(classifier.encoder, self._classifier("full_resolution"))
        self._train_classifier(phase, classifier, learned, recipe.low_resolution)

    def _train_classifier(
        self, phase: str, classifier: ImageClassifier, learned: Learned, schedule: OptimiserConfig
    ) -> None:
        def validate() -> Metrics:
            accuracy = learned.accuracy(classifier, self.validation, self.loading)
            return {ACCURACY: accuracy}

        self._supervise(phase, learned.objective(classifier, self.images), schedule, validate)

    def stage1(self) -> None:
        """Train all parts of the network on random patches."""
        recipe = self.config.recipe
        network = self._new_network()
        full, low = (self._classifier(phase) for phase in ("full_resolution", "low_resolution"))
        start_encoder(network.local_encoder, full)
        start_encoder(network.global_encoder, low)
        sampler: LocationSampler = UniformSampler()
        make_policy: Callable[[], Policy | PrivilegedPolicy] = RandomPolicy
        score = ACCURACY
        if recipe.object_looks:
            sampler = ObjectSampler(
                self.images, recipe.patch_size, recipe.object_looks, recipe.object_weights
            )
            make_policy = ObjectPolicy
            # the object that counts may be the only one seen, and then a guess is right, too
            score = CONFIDENCE
        self._train_looks("stage1", network, sampler, make_policy, recipe.stage1, score)

    def stage2(self, number: int = 1) -> None:
        """Train the policy of a round on the frozen network."""
        network, place = self._network(number), self.place("stage2", number)
        validate = functools.partial(self._validate, network)
        config, name = self.config.policy, place.path.name
        if config.learner != PAPERS:
            learn_policy(
                config,
                network,
                self.policy_images,
                place,
                validate,
                name=name,
                progress=self._progress,
            )
            return
        learner = PaperLearner(
            make_task(network=network, dataset=self.policy_images, device=self.loading.device),
            self.config.stage2,
            validate=validate,
            workers=self.loading.workers,
            augment=self.config.data.augment,
        )
        run_phase(learner, place, name=name, progress=self._progress)

    def stage3(self, number: int = 1) -> None:
        """Train all parts of the network on the patches of a round's policy."""
        recipe, place = self.config.recipe, self.place("stage3", number)
        policy = load_policy(self._needed("stage2", number))
        network = self._network(number).requires_grad_(True)
        if isinstance(policy, NetworkPolicy):
            policy.network.to(self.loading.device).requires_grad_(False)
        sampler = PolicySampler(policy, network)
        self._train_looks(place.path.name, network, sampler, lambda: policy, recipe.stage3)

    def _train_looks(
        self,
        phase: str,
        network: GlanceFocusNet,
        sampler: LocationSampler,
        make_policy: Callable[[], Policy | PrivilegedPolicy],
        schedule: OptimiserConfig,
        score: str = ACCURACY,
    ) -> None:
        recipe = self.config.recipe
        network.to(self.loading.device)
        objective = LooksObjective(
            network,
            sampler,
            recipe.auxiliary_weight,
            recipe.train_global_encoder,
            recipe.train_local_encoder,
        )
        self._supervise(
            phase, objective, schedule, lambda: self._validate(network, make_policy()), score
        )

    def _supervise(
        self,
        phase: str,
        objective: Objective,
        schedule: OptimiserConfig,
        validate: Callable[[], Metrics],
        score: str = ACCURACY,
    ) -> None:
        trainee = SupervisedTrainee(
            phase,
            objective,
            self.images,
            schedule,
            validate,
            loading=self.loading,
            augment=self.config.data.augment,
            precision=self.config.precision,
            seed=self.config.recipe.seed,
            score=score,
        )
        run_phase(trainee, self.place(phase), name=phase, progress=self._progress)

    def _validate(self, network: GlanceFocusNet, policy: Policy | PrivilegedPolicy) -> Metrics:
        result = evaluate(
            policy,
            network=network,
            dataset=self.validation,
            device=self.loading.device,
            workers=self.loading.workers,
        )
        metrics = {
            ACCURACY: float(result.accuracy[-1]),
            CONFIDENCE: float(result.confidence[:, -1].mean()),
            "validation/episodic_return": result.mean_return,
        }
        for step, value in enumerate(result.accuracy, start=1):
            metrics[f"validation/accuracy_step_{step}"] = float(value)
        return metrics

    def _new_classifier(self, learned: Learned) -> ImageClassifier:
        recipe = self.config.recipe
        config = ImageClassifierConfig(
            recipe.encoder, learned.input_size, recipe.glance_interpolation, learned.images
        )
        with seeded_weights(recipe.seed):
            return ImageClassifier(config).to(self.loading.device)

    def source(self, phase: str, number: int = 1) -> str | Path | None:
        """Return the file of what a phase has made, or what was given in its place, if any."""
        given = {"stage1": self.config.given.network, "stage2": self.config.given.policy}
        best = self.place(phase, number).best
        instead = given.get(phase) if number == 1 else None
        return instead or (best if best.is_file() else None)

    def _needed(self, phase: str, number: int = 1) -> str | Path:
        source = self.source(phase, number)
        if source is None:
            raise ValueError(
                f"{self.place(phase, number).best} is needed first: run phase {phase!r}"
                + (", or give a file instead" if phase in ("stage1", "stage2") else "")
            )
        return source

    def _classifier(self, phase: str) -> ImageClassifier:
        return load_image_classifier(self._needed(phase), self.loading.device)

    def _network(self, number: int = 1) -> GlanceFocusNet:
        """Return the network that a round starts with."""
        needed = self._needed("stage1") if number == 1 else self._needed("stage3", number - 1)
        return load_network(needed, self.loading.device)
