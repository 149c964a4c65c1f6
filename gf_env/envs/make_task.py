"""A `Task` put together and checked once."""

import functools
import math
import os
from collections.abc import Sequence
from typing import TypedDict

import torch
from typing_extensions import Unpack

from gf_env import builtin_tasks
from gf_env.builtin_tasks import PlayedWith
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.image_source import ImageSource, image_source
from gf_env.datasets.scenes.registry import SCENES
from gf_env.envs.actions import ActionCodec, action_codec
from gf_env.envs.episodes import GlimpseSource, Rules
from gf_env.envs.observations import check_observe
from gf_env.envs.rewards import AGAINST_RANDOM
from gf_env.envs.task import Task
from gf_env.feature_bank import bank_file
from gf_env.feature_bank.bank import FeatureBank, ImageIndices
from gf_env.geometry import Lattice
from gf_env.network.accelerated import make_glimpse_source
from gf_env.network.glance_focus_net import GlanceFocusNet, load_network, network_names

BUILTIN = builtin_tasks.DEFAULT_TASK


class TaskArguments(TypedDict, total=False):
    """What every environment can be made with.

    Attributes:
        dataset: a built-in task (`cluttered-digits` by default, or the id's own), a folder, a
            torchvision or Hugging Face name, `package.module:Name`, or an object: see
            `gf_env.datasets.load_dataset`.
        level: of a built-in task, `easy`, `default` (the default) or `hard`.
        split: which part of it, `train` by default.
        num_scenes: how many scenes of a built-in split; the usual number by default. More than
            those are made as they are needed and never stored.
        unreadable: `stop` (the default) at images that cannot be decoded, or `skip` them.
        download: fetch a data set that is not on disk; False by default. See `load_dataset`.
        network: a built-in name, a file, or a `GlanceFocusNet` in eval mode; by default the
            built-in task's own, for other data sets that of `cluttered-digits`.
        sequence_length: T, glance included; by default that of the built-in task at its level. The
            network's own for other data sets, and for an object as data set with a network.
        reward: a name in `gf_env.envs.rewards.REWARDS`, `confidence_gain` by default.
        observe: extra observation keys, out of `gf_env.envs.observations.EXTRA_OBSERVATIONS`.
        look_cost: taken off the reward of every look, 0 or more, 0 by default.
        stop: whether there is an action that ends the episode; False by default.
        exit_thresholds: T probabilities; see `gf_env.envs.episodes.Rules`. Not with `stop`.
        grid_size: n for n x n discrete actions; True for the n of the built-in task at its level, 7
            for other data sets; None for continuous ones.
        lattice_stride: continuous actions go to the nearest of the patches that start every so many
            pixels; None: everywhere.
        feature_bank: look features up instead of computing them. True: in the bank in the cache
            folder, built first where there is none yet; a path: in that one, which `gf-env bank`
            built; or a `FeatureBank`. Continuous actions then go to the nearest of its patches.
        precision: of the encoders, `float32` (the default) or `bfloat16`.
        compiled: with torch.compile, False by default; see
            `gf_env.network.accelerated.AcceleratedEncoder`.
        device: where the network runs, `cpu` by default.
    """

    dataset: str | os.PathLike[str] | Dataset
    level: str | None
    split: str
    num_scenes: int | None
    unreadable: str
    download: bool
    network: str | os.PathLike[str] | GlanceFocusNet | None
    sequence_length: int | None
    reward: str
    observe: Sequence[str]
    look_cost: float
    stop: bool
    exit_thresholds: Sequence[float] | None
    grid_size: int | None
    lattice_stride: int | None
    feature_bank: bool | str | os.PathLike[str] | FeatureBank | None
    precision: str
    compiled: bool
    device: str | torch.device


DEFAULTS: TaskArguments = {
    "dataset": BUILTIN,
    "level": None,
    "split": "train",
    "num_scenes": None,
    "unreadable": "stop",
    "download": False,
    "network": None,
    "sequence_length": None,
    "reward": "confidence_gain",
    "observe": (),
    "look_cost": 0.0,
    "stop": False,
    "exit_thresholds": None,
    "grid_size": None,
    "lattice_stride": None,
    "feature_bank": None,
    "precision": "float32",
    "compiled": False,
    "device": "cpu",
}


def make_task(**arguments: Unpack[TaskArguments]) -> Task:
    """Put a task together; `TaskArguments` says of what.

    Raises:
        TypeError: an argument that does not exist.
        ValueError: one that is unknown in itself, or some that do not fit each other: network and
            data set, data set and level, or a feature bank of another network, data set or lattice.
        TensorFileError: a damaged network or feature bank.
        OSError: no room for a feature bank.
    """
    _check_names(arguments)
    given: TaskArguments = {**DEFAULTS, **arguments}
    own = _played_with(given)
    given = _filled(given, own)
    check_observe(given["observe"])
    _check_one_end(given)
    device = torch.device(given["device"])
    network = _resolve_network(given["network"], own, device)
    dataset = load_dataset(
        given["dataset"],
        given["split"],
        size=given["num_scenes"],
        like=network.config.image_spec,
        unreadable=given["unreadable"],
        download=given["download"],
    )
    _check_fit(network, dataset)
    actions = network_actions(network, given["grid_size"], stop=given["stop"])
    strided = _strided(given, network)
    bank = _feature_bank(given, network, dataset, actions.lattice or strided)
    rules = _rules(given, network, strided if bank is None else bank.lattice)
    check_network(network, rules)
    glimpse_source: GlimpseSource
    images: ImageSource
    if bank is None:
        precision, compiled = given["precision"], given["compiled"]
        glimpse_source = make_glimpse_source(network, precision, compiled=compiled)
        images = image_source(dataset, device)
    else:
        glimpse_source, images = bank, ImageIndices(dataset, device)
    return Task(
        network=network,
        dataset=dataset,
        rules=rules,
        observe=tuple(given["observe"]),
        actions=actions,
        glimpse_source=glimpse_source,
        images=images,
    )


def _filled(given: TaskArguments, own: PlayedWith) -> TaskArguments:
    """Return the arguments with what the data set is played with where they leave it open."""
    dataset, length, grid_size = given["dataset"], given["sequence_length"], given["grid_size"]
    return {
        **given,
        "dataset": dataset if isinstance(dataset, Dataset) else own.dataset,
        "sequence_length": own.sequence_length if length is None else length,
        "grid_size": own.grid_size if grid_size is True else grid_size,
    }


def _played_with(given: TaskArguments) -> PlayedWith:
    """Return what the data set at its level is played with."""
    dataset, level = given["dataset"], given["level"]
    if not isinstance(dataset, Dataset):
        return builtin_tasks.played_with(os.fspath(dataset), level)
    if level not in (None, "default"):
        raise ValueError(
            f"level {level!r} is of a built-in task by name, {list(builtin_tasks.BUILTIN_TASKS)}; "
            f"the data set given is an object, {dataset.name!r}, made at the level it has"
        )
    own = builtin_tasks.played_with(dataset.name)
    return own if given["network"] is None else own._replace(sequence_length=None)


def network_actions(
    network: GlanceFocusNet, grid_size: int | None, *, stop: bool = False
) -> ActionCodec:
    """Return the codec of actions on a network's images; see `gf_env.envs.actions.action_codec`."""
    config = network.config
    return action_codec(grid_size, config.image_size, config.patch_size, network.device, stop=stop)


def _rules(given: TaskArguments, network: GlanceFocusNet, lattice: Lattice | None) -> Rules:
    length, thresholds = given["sequence_length"], given["exit_thresholds"]
    return Rules(
        network.config.sequence_length if length is None else int(length),
        given["reward"],
        None if thresholds is None else tuple(map(float, thresholds)),
        lattice,
        _cover(network) if given["reward"] in AGAINST_RANDOM else None,
        given["look_cost"],
    )


def _cover(network: GlanceFocusNet) -> Lattice:
    """Return as few patches as cover the whole image."""
    size, patch = network.config.image_size, network.config.patch_size
    return Lattice.grid(math.ceil(size / patch), size, patch)


def _strided(given: TaskArguments, network: GlanceFocusNet) -> Lattice | None:
    """Return the patches that continuous actions go to, None for those at any pixel."""
    stride = given["lattice_stride"]
    if stride is None:
        return None
    if given["grid_size"] is not None:
        raise ValueError("lattice_stride is for continuous actions; leave it or grid_size out")
    return Lattice.strided(stride, network.config.image_size, network.config.patch_size)


def _feature_bank(
    given: TaskArguments, network: GlanceFocusNet, dataset: Dataset, lattice: Lattice | None
) -> FeatureBank | None:
    wanted = given["feature_bank"]
    if wanted is None or wanted is False:
        return None
    if given["compiled"] or given["precision"] != "float32":
        raise ValueError(
            "a feature bank leaves no encoder to run: leave out precision and compiled"
        )
    return bank_file.feature_bank(wanted, network, dataset, lattice)


def _check_one_end(given: TaskArguments) -> None:
    if given["stop"] and given["exit_thresholds"] is not None:
        raise ValueError(
            "stop=True leaves it to the agent when to end an episode, exit_thresholds to the "
            "network; leave one of them out"
        )


def _check_names(arguments: TaskArguments) -> None:
    """Refuse an unknown name in Python's own words: libraries that try arguments look for them."""
    known = TaskArguments.__annotations__
    for name in arguments:
        if name not in known:
            raise TypeError(
                f"make_task() got an unexpected keyword argument {name!r}; "
                f"choose from {sorted(known)}"
            )


def _resolve_network(
    network: str | os.PathLike[str] | GlanceFocusNet | None, own: PlayedWith, device: torch.device
) -> GlanceFocusNet:
    """Return the network that was given, or the data set's own in the size of its scenes."""
    if isinstance(network, GlanceFocusNet):
        return network.to(device)
    if network is None:
        return own_network(own, device)
    path = os.fspath(network)
    changed = (
        None if path in network_names() or not os.path.exists(path) else os.stat(path).st_mtime
    )
    return _shared_network(path, device, changed, None)


def own_network(own: PlayedWith, device: torch.device) -> GlanceFocusNet:
    """Return the network that a data set is played with, in the size of its scenes."""
    scenes = SCENES.get(own.dataset)
    image_size = None if scenes is None else scenes.spec.image_size
    return _shared_network(own.network, device, None, image_size)


@functools.lru_cache(maxsize=8)
def _shared_network(
    path: str, device: torch.device, changed: float | None, image_size: int | None
) -> GlanceFocusNet:
    """Many environments in one process share one frozen network, while its file is the same."""
    network = load_network(path, device)
    return network if image_size is None else network.with_image_size(image_size)


def _check_fit(network: GlanceFocusNet, dataset: Dataset) -> None:
    wanted, given = network.config.image_spec, dataset.spec
    compared: list[tuple[str, object, object]] = [
        ("image_size", wanted.image_size, given.image_size),
        ("channels", wanted.channels, given.channels),
        ("number of classes", len(wanted.classes), len(given.classes)),
    ]
    if dataset.name in SCENES:  # all that tells networks of some of these tasks apart
        compared += [("mean", wanted.mean, given.mean), ("std", wanted.std, given.std)]
    differing = [
        f"{name} {ours} against {theirs}" for name, ours, theirs in compared if ours != theirs
    ]
    if differing:
        raise ValueError(
            f"the network does not fit the data set {dataset.name}: {', '.join(differing)} "
            "(the network's against the data set's)"
        )


def check_network(network: GlanceFocusNet, rules: Rules) -> None:
    """Check that episodes can be run with a network.

    Raises:
        ValueError: it is in training mode, or cannot take so many steps.
    """
    if network.training:
        raise ValueError("the network is in training mode; call network.eval() first")
    config = network.config
    if config.classifier == "cascaded" and rules.sequence_length > config.sequence_length:
        raise ValueError(
            f"a cascaded classifier made for {config.sequence_length} steps cannot take "
            f"{rules.sequence_length}; choose a sequence_length up to {config.sequence_length}"
        )
