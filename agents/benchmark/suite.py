"""What a benchmark runs: policies x settings x seeds.

A suite says what, never how far it has come; `agents.benchmark.results` keeps that, so that sweep
and analysis stay apart, as in bsuite (Osband et al., ICLR 2020).
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from agents.learners.plateau import Plateau
from agents.registry.files import open_network
from agents.registry.learners import get_learner, make_config
from agents.registry.policies import BOUNDS, RULES
from gf_env.builtin_tasks import PlayedWith, played_with
from gf_env.configuration import configuration, described
from gf_env.envs.make_task import BUILTIN, TaskArguments, own_network
from gf_env.import_paths import is_module_path
from gf_env.network.glance_focus_net import GlanceFocusNet


def _check_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or len({*seeds}) != len(seeds):
        raise ValueError(f"must be one or more different whole numbers, got {list(seeds)}")
    return seeds


Seeds = Annotated[tuple[NonNegativeInt, ...], AfterValidator(_check_different)]
"""One or more different seeds, 0 or more."""


@configuration
class Setting:
    """The task that policies are compared on.

    Attributes:
        name: of the setting.
        network: a built-in name or a file; None for the one that the data set is played with.
        dataset: name or folder; see `gf_env.load_dataset`.
        level: of a built-in task, see `gf_env.builtin_tasks.LEVELS`.
        sequence_length: T; None for that of the built-in task or, with other data sets, of the
            network.
        train_split: learners learn on it.
        split: policies are evaluated on it.
        threshold_split: where exit thresholds are searched.
        num_images: the first so many of both of the latter; None for all.
    """

    name: str
    network: str | None = None
    dataset: str = BUILTIN
    level: str | None = None
    sequence_length: int | None = None
    train_split: str = "train"
    split: str = "test"
    threshold_split: str = "validation"
    num_images: PositiveInt | None = None

    def __post_init__(self) -> None:
        """Refuse levels that do not exist, and evaluation on images that were learned from."""
        _ = self.played_with
        if self.split in (self.train_split, self.threshold_split):
            raise ValueError(
                "split must be other images than train_split and threshold_split, got "
                f"{self.split!r} twice"
            )

    @property
    def played_with(self) -> PlayedWith:
        """The data set at its level, and the network: what runs and rows name."""
        own = played_with(self.dataset, self.level)
        return own if self.network is None else own._replace(network=self.network)

    def open_network(self) -> GlanceFocusNet:
        """Return the network."""
        if self.network is None:
            return own_network(self.played_with, torch.device("cpu"))
        return open_network(self.network)

    def task_arguments(self, split: str) -> TaskArguments:
        """Return what a split's task is made with, for `gf_env.make_task`."""
        return {
            "network": self.open_network(),
            "dataset": self.played_with.dataset,
            "sequence_length": self.sequence_length,
            "split": split,
        }


_ON_A_LATTICE = ("grid_size", "lattice_stride")
_OF_EVALUATION = (*_ON_A_LATTICE, "sequence_length", "look_cost")
_TASK_ARGUMENTS = (*_OF_EVALUATION, "stop", "reward", "precision", "num_scenes")


@configuration
class Entry:
    """A policy, or a learner that makes one.

    Attributes:
        name: how tables call it.
        policy: see `agents.registry.policies.make_policy`.
        learner: in its place, see `agents.registry.learners.get_learner`.
        settings: of either.
        task: how it acts and what it learns from: `grid_size`, `lattice_stride`,
            `sequence_length`, `look_cost`, `stop`, `reward`, `precision` and `num_scenes` of
            `gf_env.envs.make_task.TaskArguments`. The latter four are of training only: whether
            episodes can be stopped in an evaluation follows from the policy. A `sequence_length`
            takes the place of the setting's; returns are less the cost of looks.
        feature_bank: learn on a feature bank where the actions allow one.
        seeds: None for the suite's.
        plateau: learn until the curve on validation images is flat, and keep the policy that was
            best there. Where the settings do not say how long a training is, it has the steps of
            the rule's limit. None: learn as long as the settings say, without validation, and keep
            the last policy.
    """

    name: Annotated[str, Field(min_length=1)]
    policy: str | None = None
    learner: str | None = None
    settings: Mapping[str, Any] = Field(default_factory=dict)
    task: Mapping[str, Any] = Field(default_factory=dict)
    feature_bank: bool = True
    seeds: Seeds | None = None
    plateau: Plateau | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without building anything."""
        if (self.policy is None) == (self.learner is None):
            raise ValueError(f"{self.name!r} needs either a policy or a learner")
        unknown = sorted(set(self.task) - set(_TASK_ARGUMENTS))
        if unknown:
            raise ValueError(
                f"{self.name!r} has task arguments {unknown}; an entry's are {_TASK_ARGUMENTS}"
            )
        if {*_ON_A_LATTICE} <= {*self.task}:
            raise ValueError(
                f"{self.name!r} has both grid_size and lattice_stride; its actions are either "
                "numbers of patches or locations"
            )
        if self.plateau is not None and self.learner is None:
            raise ValueError(f"{self.name!r} has a plateau, but learns nothing; it is a learner's")
        self.learner_config(seed=0)  # refuses settings that cannot be, whatever the seed

    def learner_config(self, seed: int, limit: int | None = None) -> Any:
        """Return its learner's configuration, None without one; `limit` as in `make_config`."""
        if self.learner is None:
            return None
        return make_config(get_learner(self.learner), self.learner, self.settings, seed, limit)

    @property
    def kind(self) -> str:
        """`learner`, `rule`, `bound` (it sees labels) or `given` (a file or the user's own)."""
        if self.learner is not None:
            return "learner"
        if self.policy in RULES:
            return "rule"
        return "bound" if self.policy in BOUNDS else "given"

    @property
    def look_cost(self) -> float:
        """What a look costs, in training and in the returns of its evaluation."""
        return float(self.task.get("look_cost", 0.0))

    @property
    def evaluation_task(self) -> TaskArguments:
        """Task arguments of its evaluation: what its actions mean and cost, how many it has."""
        kept = {key: value for key, value in self.task.items() if key in _OF_EVALUATION}
        return cast(TaskArguments, kept)

    @property
    def training_task(self) -> TaskArguments:
        """Task arguments of its training; none where it does not learn."""
        if self.learner is None:
            return {}
        task = dict(self.task)
        if self.feature_bank and {*_ON_A_LATTICE} & {*task}:
            task.pop("precision", None)  # a bank has that of the network that it was made with
            task["feature_bank"] = True
        return cast(TaskArguments, task)


@dataclass(frozen=True)
class Run:
    """One policy, one setting, one seed."""

    entry: Entry
    setting: Setting
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.entry.name}, seed {self.seed}"

    @property
    def limit(self) -> int | None:
        """Steps after which its training ends in any case, by its rule; None where it has none."""
        plateau = self.entry.plateau
        return None if plateau is None else plateau.limit(self.setting.played_with.dataset)

    def learner_config(self) -> Any:
        """Return the configuration of its learner; None where it has none."""
        return self.entry.learner_config(self.seed, self.limit)

    @property
    def spec(self) -> dict[str, Any]:
        """All that the result depends on; JSON-serialisable."""
        entry, setting = dataclasses.asdict(self.entry), dataclasses.asdict(self.setting)
        del entry["name"], entry["seeds"], setting["name"], setting["level"]
        if self.entry.plateau is None:
            del entry["plateau"]
        else:
            entry["plateau"]["most_steps"] = self.limit
        setting["dataset"] = self.setting.played_with.dataset
        setting["network"] = self.setting.played_with.network
        return {
            **entry,
            "settings": self._settings(),
            "setting": setting,
            "seed": self.seed,
            "file": _file_digest(self.entry.policy),
        }

    def _settings(self) -> dict[str, Any]:
        """Return a learner's defaults too, so that a run with others is another run."""
        if self.entry.learner is None:
            return dict(self.entry.settings)
        config = self.learner_config()
        if dataclasses.is_dataclass(config) and not isinstance(config, type):
            config = described(config)
        # what was given as 1 stays 1, though the configuration may have 1.0: keys are made of this
        settings = {**config, **self.entry.settings}
        # JSON has no infinity
        return {key: None if value == math.inf else value for key, value in settings.items()}

    @property
    def key(self) -> str:
        """A run is known by what it is, whatever it is called and in whatever suite."""
        described = json.dumps(self.spec, sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]


def _file_digest(policy: str | None) -> str | None:
    """Return a digest of a policy's file; None where the policy is not a file."""
    if policy is None or is_module_path(policy) or not Path(policy).is_file():
        return None
    return hashlib.sha256(Path(policy).read_bytes()).hexdigest()[:16]


@configuration
class Difference:
    """A comparison of two entries by their mean returns, such as with and without a memory.

    Attributes:
        name: what differs.
        ours: name of an entry.
        theirs: name of the entry whose return is taken off that of ours.
    """

    name: str
    ours: str
    theirs: str


@configuration
class Curves:
    """A comparison of policies that stop with one that never does, by accuracy at equal cost.

    Attributes:
        name: what is compared.
        learned: names of entries that stop, each at another price of a look; together they are a
            curve.
        against: name of the entry that does not. Its curves are those of images that leave by
            thresholds, and those of as many looks for all.
    """

    name: str
    learned: Annotated[tuple[str, ...], Field(min_length=1)]
    against: str


@configuration
class Suite:
    """Policies x settings x seeds.

    Attributes:
        name: of the suite.
        description: what it is to show.
        seeds: of all policies that do not have their own.
        settings: the tasks.
        entries: the policies.
        random: name of the entry at the lower end of the gap.
        oracle: name of the entry at its upper end.
        reference: name of the entry that others are compared with image by image.
        differences: pairs of entries that are compared by their returns too.
        curves: policies that stop, compared with others by accuracy at equal cost.
    """

    name: str
    description: str
    seeds: Seeds
    settings: tuple[Setting, ...]
    entries: tuple[Entry, ...]
    random: str = "random"
    oracle: str = "greedy oracle"
    reference: str = "paper's learner"
    differences: tuple[Difference, ...] = ()
    curves: tuple[Curves, ...] = ()

    def __post_init__(self) -> None:
        """Check that there are policies and settings, and no two of a name."""
        for what, named in (("policies", self.entries), ("settings", self.settings)):
            names = [each.name for each in named]
            if not names:
                raise ValueError(f"suite {self.name!r} has no {what}")
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"suite {self.name!r} has {what} twice: {twice}")

    def at_level(self, level: str) -> "Suite":
        """Return the same suite with all its settings at a level of their built-in tasks.

        Raises:
            ValueError: an unknown level, or a setting that has none.
        """
        if level == "default":
            return self
        settings = tuple(
            dataclasses.replace(each, level=level, name=f"{each.name}, {level}")
            for each in self.settings
        )
        return dataclasses.replace(self, name=f"{self.name}-{level}", settings=settings)

    def runs(self) -> Iterator[Run]:
        """Yield every run, seed by seed, so that a suite that is interrupted has some of all."""
        for seed in sorted({seed for entry in self.entries for seed in entry.seeds or self.seeds}):
            for setting in self.settings:
                for entry in self.entries:
                    if seed in (entry.seeds or self.seeds):
                        yield Run(entry, setting, seed)
