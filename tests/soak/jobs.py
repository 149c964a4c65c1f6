"""What is killed, run twice at once and run out of space: every kind of job that writes a folder.

A further kind is a function that yields jobs, and a line in `jobs`.
"""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.benchmark.agreement import figures_of
from agents.benchmark.results_folder import ResultsFolder
from agents.cli import main
from gf_env.datasets import load_dataset
from gf_env.feature_bank import bank_file
from gf_env.storage import arrays
from tests.helpers.image_trees import stripes_network, write_stripes
from tests.helpers.quick_training import quick_arguments

PHASES = ("full_resolution", "low_resolution", "stage1", "stage2", "stage3")
_BANK_PIECE, _CACHE_PIECE = 30_000, 1 << 21
"""Bytes: small, so that several pieces are written."""
_THERE = ("manifest.json", "report.json", "report.md")
"""Files with times in them; of these, pictures and logs only the names count."""
_SUITE = """
description = "killed again and again"
seeds = [0]
reference = "learner"
[[settings]]
name = "stripes"
dataset = "{images}"
network = "{network}"
num_images = 12
[[policies]]
name = "random"
policy = "random"
[[policies]]
name = "learner"
learner = "reinforce"
settings = {{ updates = 4, num_envs = 8 }}
"""


@dataclass(frozen=True)
class Job:
    """A command that writes a folder, and resumes what was stopped.

    Attributes:
        name: of the kind.
        do: does it in a folder, in this process; returns the exit status.
        prepare: puts what it starts from into the folder.
        waits: whether a second one on the folder waits in the place of being refused.
    """

    name: str
    do: Callable[[Path], int]
    prepare: Callable[[Path], Any] = lambda folder: None
    waits: bool = False


def make_jobs(materials: Path) -> list[Job]:
    """Return all jobs; the images, networks and trainings that they need go to a folder."""
    images = write_stripes(materials / "images", counts=(24, 12, 12))
    network = materials / "network.safetensors"
    stripes_network().save(network)
    return [
        *_trainings(images, materials / "trained"),
        _benchmark(images, network, materials / "suite.toml"),
        _bank(images, network),
        Job("cache", _fill_cache, waits=True),
    ]


def _trainings(images: Path, trained: Path) -> Iterator[Job]:
    """Yield a job for each stage, which starts from what a whole training made before it."""

    def train(folder: Path, phases: tuple[str, ...], *more: Any) -> int:
        given = ["--output", folder, "--resume", "--no-figures", "--phases", *phases, *more]
        arguments = quick_arguments(images, *given, epochs=2)
        return main(["train", *arguments])

    def prepare(folder: Path, phase: str) -> None:
        needed = PHASES[: PHASES.index(phase)]
        if needed and not trained.exists() and train(trained, PHASES) != 0:
            raise RuntimeError("the training that all others start from failed")
        for before in needed:
            shutil.copytree(trained / before, folder / before)

    for phase in PHASES:
        yield Job(
            f"train, {phase}",
            lambda folder, phase=phase: train(folder, (phase,)),
            lambda folder, phase=phase: prepare(folder, phase),
        )
    learner = ["--policy.learner", "reinforce", "--policy.settings", '{"updates": 4}']
    yield Job(
        "train, stage2 by REINFORCE",
        lambda folder: train(folder, ("stage2",), *learner),
        lambda folder: prepare(folder, "stage2"),
    )


def _benchmark(images: Path, network: Path, suite: Path) -> Job:
    suite.write_text(_SUITE.format(images=images, network=network))
    arguments = ["benchmark", str(suite), "--jobs", "2", "--retry", "--output"]
    return Job("benchmark", lambda folder: main([*arguments, str(folder)]))


def _bank(images: Path, network: Path) -> Job:
    arguments = ["--network", network, "--dataset", images, "--split", "train", "--grid-size", "3"]

    def do(folder: Path) -> int:
        bank_file._PIECE_BYTES = _BANK_PIECE
        return main(["bank", *map(str, arguments), "--output", str(folder / "bank.npy")])

    return Job("bank", do, waits=True)


def _fill_cache(folder: Path) -> int:
    arrays._CACHE_PIECE_BYTES = _CACHE_PIECE
    os.environ["GF_ENV_CACHE"] = str(folder)
    load_dataset("cluttered-digits", "test")
    return 0


def content(folder: Path) -> dict[str, Any]:
    """Return what is in a folder by the names of files: rows' figures, and digests of the others.

    Partial files and others that a stopped job left are among them.
    """
    found: dict[str, Any] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = str(path.relative_to(folder))
        if path.name == "results.jsonl":
            rows = ResultsFolder(folder).read()
            found[name] = {row.key: figures_of(_without_place(row)) for row in rows}
        elif path.name.startswith("events.out.tfevents"):
            found[str(path.parent.relative_to(folder) / "events")] = "there"
        elif path.name in _THERE or path.suffix == ".png":
            found[name] = "there"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _without_place(row: Any) -> Any:
    return dataclasses.replace(row, task={})


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return a phrase for each file that is missing, left behind, or has other content."""
    phrases = [f"{name} is missing" for name in expected.keys() - found.keys()]
    phrases += [f"{name} was left behind" for name in found.keys() - expected.keys()]
    both = expected.keys() & found.keys()
    phrases += [f"{name} has other content" for name in both if expected[name] != found[name]]
    return sorted(phrases)
