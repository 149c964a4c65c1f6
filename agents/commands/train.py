"""`gf-env train`: a network and its policy, from nothing or from what is given."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console

from agents.stages import presets
from agents.stages.config import PHASES, TrainConfig, check_phases, claim_folder
from agents.stages.network_report import write_figures
from agents.stages.run import TrainingRun
from gf_env.datasets.batches import Loading
from gf_env.training import processes
from gf_env.training.loop import training_progress


@dataclass(frozen=True)
class Train:
    """Train GFNet: starting weights, stage 1, stage 2 (the policy), stage 3.

    Every phase writes OUTPUT/PHASE/best.safetensors (what it made best, by validation accuracy
    after the last look), last.safetensors (to go on from) and TensorBoard logs. Settings come from
    a preset, then a file, then the command line. The defaults are those of the built-in networks.

    Attributes:
        output: folder for the files.
        preset: settings to start from: cluttered-digits, or the paper's for a family: resnet,
            densenet, regnet, efficientnet or mobilenetv3.
        config: JSON file of settings, such as the config.json of another training.
        phases: which phases to run, in this order.
        resume: go on with the training in the folder.
        device: where training runs; `cuda` under a launcher is a GPU for each process.
        workers: processes that read images ahead.
        figures: measure the networks at the end, beside rules and oracle.
        training: what the result depends on.
    """

    output: Path = Path("runs/network")
    preset: str = presets.BUILTIN
    config: Path | None = None
    phases: tuple[str, ...] = PHASES
    resume: bool = False
    device: str = "cpu"
    workers: int = 0
    figures: bool = True
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self, console: Console) -> None:
        """Train, measure, write."""
        check_phases(self.phases)
        device = processes.start_processes(torch.device(self.device))
        try:
            self._run(device, console)
        finally:
            processes.stop_processes()

    def _run(self, device: torch.device, console: Console) -> None:
        with training_progress(console) as progress:
            run = TrainingRun(
                self.training,
                self.output,
                loading=Loading(device, self.workers),
                progress=progress,
            )
            if processes.is_main():
                claim_folder(self.output, self.training, resume=self.resume)
            run.run(self.phases)
        if not processes.is_main():
            return
        if self.figures:
            with console.status("measuring the networks on the test split"):
                write_figures(run, console)
        console.print(f"Written to {self.output}.")


def file_arguments(path: Path) -> list[str]:
    """Return the settings in a JSON file as arguments, to stand before those of the user.

    Raises:
        ValueError: no JSON object in the file.
    """
    try:
        settings = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"expected a JSON file of settings at {path}: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"expected an object of settings in {path}, found {settings!r}")
    return list(_arguments(settings))


def _arguments(settings: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        name = key.replace("_", "-")
        if isinstance(value, dict):
            yield from _arguments(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield f"--{prefix}{'' if value else 'no-'}{name}"
        elif isinstance(value, list):
            yield from (f"--{prefix}{name}", *map(str, value))
        else:
            yield from (f"--{prefix}{name}", str(value))


def preset_and_file(arguments: Sequence[str]) -> tuple[TrainConfig, list[str]]:
    """Return the settings to start from, by `--preset`, and the arguments of `--config`'s file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default=presets.BUILTIN)
    parser.add_argument("--config", type=Path)
    known, _ = parser.parse_known_args(arguments)
    return presets.preset(known.preset), file_arguments(known.config) if known.config else []
