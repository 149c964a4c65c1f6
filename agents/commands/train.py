"""`gf-env train`: trains a network and its policy, from nothing or from given parts."""

import argparse
import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from agents.stages import presets
from agents.stages.config import Phase, TrainConfig, claim_folder, merged
from agents.stages.network_report import write_network_metrics
from agents.stages.run import TrainingRun
from gf_env.datasets.batches import Loading
from gf_env.storage.files import only_process, parse_json, read_file
from gf_env.training import processes
from gf_env.training.loop import training_progress


@dataclass(frozen=True)
class Train:
    """Train GFNet: starting weights, stage 1, stage 2 (the policy), stage 3.

    Every phase writes OUTPUT/PHASE/best.safetensors (the best epoch by validation accuracy after
    the last look), last.safetensors (to resume from) and TensorBoard logs. Settings come from
    a preset, then a file, then the command line. The defaults are those of the built-in networks.

    Attributes:
        output: folder for the files.
        preset: settings to start from: those of a built-in network (cluttered-digits,
            hidden-digits, signposts, digit-sums), or the paper's for a family: resnet, densenet,
            regnet, efficientnet or mobilenetv3.
        config: JSON file of settings, such as the config.json of another training.
        phases: which phases to run, in this order; the preset's by default.
        resume: resume the training in the folder.
        device: where training runs; `cuda` under a launcher is a GPU for each process.
        workers: processes that read images ahead.
        figures: measure the networks at the end, beside rules and oracle.
        training: what the result depends on.
    """

    output: Path = Path("runs/network")
    preset: str = presets.BUILTIN
    config: Path | None = None
    phases: tuple[Phase, ...] | None = None
    resume: bool = False
    device: str = "cpu"
    workers: int = 0
    figures: bool = True
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self, console: Console) -> None:
        """Train, measure, write."""
        device = processes.start_processes(torch.device(self.device))
        try:
            # of several processes of one training the main one writes
            with only_process(self.output, "training") if processes.is_main() else nullcontext():
                self._run(device, console)
        finally:
            processes.stop_processes()

    def _run(self, device: torch.device, console: Console) -> None:
        with training_progress(console) as progress:
            loading = Loading(device, self.workers)
            run = TrainingRun(self.training, self.output, loading=loading, progress=progress)
            if processes.is_main():
                claim_folder(self.output, self.training, resume=self.resume)
            run.run(self.phases or presets.preset(self.preset).phases)
        if not processes.is_main():
            return
        if self.figures:
            with console.status("measuring the networks on the test split"):
                write_network_metrics(run, console)
        console.print(f"Written to {self.output}.")


def starting_settings(arguments: Sequence[str]) -> TrainConfig:
    """Return the settings that the command line's change: `--preset`'s, then those of `--config`.

    Raises:
        ValueError: an unknown preset, a file that is no JSON object, or settings in it that are
            unknown or out of range.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default=presets.BUILTIN)
    parser.add_argument("--config", type=Path)
    known, _ = parser.parse_known_args(arguments)
    settings = presets.preset(known.preset).config
    if known.config is None:
        return settings
    try:
        found = parse_json(read_file(known.config))
    except (OSError, ValueError) as error:
        raise ValueError(f"expected a JSON file of settings at {known.config}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected an object of settings in {known.config}, found {found!r}")
    try:
        return TrainConfig(**merged(dataclasses.asdict(settings), found))
    except ValueError as error:
        raise ValueError(f"{known.config}: {error}") from error
