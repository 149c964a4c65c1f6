"""What a benchmark runs: policies x settings x seeds, declared in a TOML file.

A suite says what, never how far it has come; `agents.benchmark.results` keeps that, so that sweep
and analysis stay apart, as in bsuite (Osband et al., ICLR 2020).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, cast

from agents.registry.import_paths import is_module_path
from agents.registry.learners import get_learner, make_config
from agents.registry.policies import BOUNDS, RULES
from gf_env.envs.make_task import BUILTIN, TaskArguments

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SUFFIX = ".toml"


@dataclass(frozen=True)
class Setting:
    """The task that policies are compared on.

    Attributes:
        name: of the setting.
        network: a built-in name or a file.
        dataset: name or folder; see `gf_env.load_dataset`.
        sequence_length: T; None for the network's own.
        train_split: learners learn on it.
        split: policies are evaluated on it.
        threshold_split: where exit thresholds are searched.
        num_images: the first so many of both of the latter; None for all.
    """

    name: str
    network: str = BUILTIN
    dataset: str = BUILTIN
    sequence_length: int | None = None
    train_split: str = "train"
    split: str = "test"
    threshold_split: str = "validation"
    num_images: int | None = None

    def __post_init__(self) -> None:
        """Refuse evaluation on images that were learned from."""
        if self.split in (self.train_split, self.threshold_split):
            raise ValueError(
                f"setting {self.name!r}: split must be other images than train_split and "
                f"threshold_split, got {self.split!r} twice"
            )
        if self.num_images is not None and self.num_images < 1:
            raise ValueError(
                f"setting {self.name!r}: num_images must be 1 or more, got {self.num_images}"
            )


_TASK_ARGUMENTS = ("grid_size", "lattice_stride", "reward", "precision")
_ON_A_LATTICE = ("grid_size", "lattice_stride")


@dataclass(frozen=True)
class Entry:
    """A policy, or a learner that makes one.

    Attributes:
        name: how tables call it.
        policy: see `agents.registry.policies.make_policy`.
        learner: in its place, see `agents.learners.get_learner`.
        settings: of either.
        task: how it acts and what it learns from: `grid_size`, `lattice_stride`, `reward` and
            `precision` of `gf_env.envs.make_task.TaskArguments`. Rewards and precision are of
            training only.
        feature_bank: learn on a feature bank where the actions allow one.
        seeds: the suite's by default.
    """

    name: str
    policy: str | None = None
    learner: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    feature_bank: bool = True
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without building anything."""
        if not self.name:
            raise ValueError("every policy of a suite needs a name")
        if (self.policy is None) == (self.learner is None):
            raise ValueError(f"{self.name!r} needs either a policy or a learner")
        if self.seeds is not None:
            object.__setattr__(self, "seeds", _check_seeds(self.name, self.seeds))
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
        if self.learner is not None:
            # refuses settings that cannot be, whatever the seed
            make_config(get_learner(self.learner), self.learner, self.settings, seed=0)

    @property
    def kind(self) -> str:
        """`learner`, `rule`, `bound` (it sees labels) or `given` (a file or the user's own)."""
        if self.learner is not None:
            return "learner"
        if self.policy in RULES:
            return "rule"
        return "bound" if self.policy in BOUNDS else "given"

    @property
    def acts(self) -> TaskArguments:
        """Task arguments of its evaluation: what its actions mean."""
        return _task({key: self.task[key] for key in _ON_A_LATTICE if key in self.task})

    @property
    def learns(self) -> TaskArguments:
        """Task arguments of its training; none where it does not learn."""
        if self.learner is None:
            return {}
        on_bank = self.feature_bank and bool(self.acts)
        bank = {"feature_bank": True} if on_bank else {}
        # what a bank was made with is in it
        left_out = {"precision"} if on_bank else set()
        kept = {key: value for key, value in self.task.items() if key not in left_out}
        return _task({**kept, **bank})


def _task(arguments: Mapping[str, Any]) -> TaskArguments:
    return cast(TaskArguments, dict(arguments))


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
    def spec(self) -> dict[str, Any]:
        """All that the result depends on; JSON-serialisable."""
        entry = dataclasses.asdict(self.entry)
        setting = dataclasses.asdict(self.setting)
        named = {"name", "seeds"}
        return {
            **{key: value for key, value in entry.items() if key not in named},
            "settings": self._all_settings(),
            "setting": {key: value for key, value in setting.items() if key not in named},
            "seed": self.seed,
            "file": _content_mark(self.entry.policy),
        }

    def _all_settings(self) -> dict[str, Any]:
        """Return a learner's defaults too, so that a run with others is another run."""
        name = self.entry.learner
        if name is None:
            return dict(self.entry.settings)
        config = make_config(get_learner(name), name, self.entry.settings, self.seed)
        if dataclasses.is_dataclass(config) and not isinstance(config, type):
            config = dataclasses.asdict(config)
        # a given 1 stays 1 where the configuration has 1.0: published keys are made of what was given
        values = {**config, **self.entry.settings}
        # JSON has no infinity
        return {key: None if value == math.inf else value for key, value in values.items()}

    @property
    def key(self) -> str:
        """Known by what it is, whatever it is called and in whatever suite."""
        described = json.dumps(self.spec, sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:16]


def _content_mark(policy: str | None) -> str | None:
    """Return a mark of the content of a policy's file."""
    if policy is None or is_module_path(policy) or not Path(policy).is_file():
        return None
    return hashlib.sha256(Path(policy).read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
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
    """

    name: str
    description: str
    seeds: tuple[int, ...]
    settings: tuple[Setting, ...]
    entries: tuple[Entry, ...]
    random: str = "random"
    oracle: str = "greedy oracle"
    reference: str = "paper's learner"

    def __post_init__(self) -> None:
        """Check that names are there once."""
        object.__setattr__(self, "seeds", _check_seeds(self.name, self.seeds))
        for what, named in (("policies", self.entries), ("settings", self.settings)):
            names = [each.name for each in named]
            if not names:
                raise ValueError(f"suite {self.name!r} has no {what}")
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"suite {self.name!r} has {what} twice: {twice}")

    def runs(self) -> Iterator[Run]:
        """Yield every run, seed by seed, so that a suite that is broken off has some of all."""
        every = sorted({seed for entry in self.entries for seed in entry.seeds or self.seeds})
        for seed in every:
            for setting in self.settings:
                for entry in self.entries:
                    if seed in (entry.seeds or self.seeds):
                        yield Run(entry, setting, seed)


def _check_seeds(name: str, seeds: Any) -> tuple[int, ...]:
    given = tuple(seeds) if isinstance(seeds, (list, tuple)) else ()
    whole = all(isinstance(seed, int) and seed >= 0 for seed in given)
    if not given or not whole or len({*given}) != len(given):
        raise ValueError(
            f"{name!r}: seeds are one or more different whole numbers, 0 or more, got {seeds!r}"
        )
    return given


def suite_names() -> list[str]:
    """Return the names of the suites that come with the package."""
    files = (item.name for item in _folder().iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def load_suite(name_or_path: str) -> Suite:
    """Return a suite by its name (see `suite_names`) or TOML file.

    A file has `description`, `seeds`, optionally `random`, `oracle` and `reference`, `[[settings]]`
    and `[[policies]]` with the fields of `Setting` and `Entry`; `include`, names of suites whose
    policies come first; and `[base]`, fields that all policies of the file start from.

    Raises:
        ValueError: no such suite, or one that cannot be.
    """
    path = Path(name_or_path)
    if name_or_path in suite_names():
        text = (_folder() / f"{name_or_path}{_SUFFIX}").read_text()
    elif path.is_file():
        text = path.read_text()
    else:
        raise ValueError(
            f"unknown suite {name_or_path!r}: neither a file nor one of {suite_names()}"
        )
    try:
        return _parse(path.stem if path.is_file() else name_or_path, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"suite {name_or_path!r} cannot be read: {error}") from error


def _parse(name: str, content: dict[str, Any]) -> Suite:
    base = content.pop("base", {})
    included = [
        entry for other in content.pop("include", []) for entry in load_suite(other).entries
    ]
    entries = [Entry(**_merge(base, policy)) for policy in content.pop("policies", [])]
    settings = content.pop("settings", [{"name": "cluttered digits"}])
    return Suite(
        name=name,
        entries=(*included, *entries),
        settings=tuple(Setting(**setting) for setting in settings),
        **content,
    )


def _merge(base: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy's fields over the base's; tables are merged key by key."""
    merged = {**base, **policy}
    for key in base.keys() & policy.keys():
        if isinstance(base[key], dict):
            merged[key] = {**base[key], **policy[key]}
    return merged


def _folder() -> Any:
    return resources.files("agents.benchmark") / "suites"
