"""A training's folder: whose it is, where its phases' files are, and what it ended with."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.stages.config import TrainConfig, merged, read_settings
from gf_env.storage.files import LOCK, write_atomically

SETTINGS = "config.json"


def claim_folder(folder: Path, config: TrainConfig, *, resume: bool) -> None:
    """Make sure that a folder is this training's, and write its configuration there.

    Raises:
        ValueError: the folder holds a training and `resume` is False, or one of another
            configuration, or a damaged one.
    """
    path = folder / SETTINGS
    described = json.loads(json.dumps(dataclasses.asdict(config)))
    if os.path.lexists(path):  # a pipe or a broken link is not overwritten
        if not resume:
            raise ValueError(
                f"{folder} holds a training already: resume it with --resume, or choose another "
                "--output"
            )
        # what is newer than the folder has its default there
        before = merged(dataclasses.asdict(TrainConfig()), read_settings(path))
        differing = list(_differences(json.loads(json.dumps(before)), described))
        if differing:
            raise ValueError(
                f"the training in {folder} was started with other settings: "
                f"{'; '.join(differing)}. Resume it with the same ones, or choose another --output"
            )
    write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())


@contextlib.contextmanager
def claimed_folder(folder: Path, config: TrainConfig, *, resume: bool) -> Iterator[None]:
    """Claim a folder for a training that is about to begin.

    Where it fails before it has written anything, its configuration does not stay, either: it would
    be in the way of the next try.

    Raises:
        ValueError: see `claim_folder`.
    """
    path = folder / SETTINGS
    before = path.read_bytes() if path.is_file() else None
    claim_folder(folder, config, resume=resume)
    try:
        yield
    except BaseException:
        if before is None and {*folder.iterdir()} <= {path, folder / LOCK}:
            path.unlink()
        raise


def phase_folder(folder: Path, phase: str, number: int = 1) -> Path:
    """Return where the files of a phase are, in a round counted from 1."""
    return folder / (phase if number == 1 else f"{phase}-round-{number}")


def trained_pair(folder: Path) -> tuple[Path, Path]:
    """Return the files of the network and the policy that a training ended with.

    Raises:
        ValueError: the folder holds no training whose last round made both, or damaged settings.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise ValueError(f"{folder} holds no training of gf-env train: there is no {path.name}")
    settings = merged(dataclasses.asdict(TrainConfig()), read_settings(path))
    rounds = TrainConfig(**settings).rounds
    # with several rounds a policy is last
    numbers = {"stage3": max(1, rounds - 1), "stage2": rounds}
    network, policy = (
        phase_folder(folder, phase, number) / "best.safetensors"
        for phase, number in numbers.items()
    )
    for file in (network, policy):
        if not file.is_file():
            raise ValueError(f"{file} is missing; let gf-env train --resume end first")
    return network, policy


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))
    elif before != now:
        yield f"{name} was {before!r} and is {now!r}"
