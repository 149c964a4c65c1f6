"""`gf-env train`: trains a network and its policy, from nothing or from given parts."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from agents.registry.choices import one_of
from agents.reporting.provenance import MANIFEST, data_digests, file_digest, write_manifest
from agents.stages import presets
from agents.stages.config import Phase, TrainConfig, check_learned
from agents.stages.folders import SETTINGS, claimed_folder
from agents.stages.network_report import write_network_metrics
from agents.stages.run import TrainingRun
from agents.stages.starting_settings import splits_used
from gf_env.datasets.batches import Loading
from gf_env.datasets.scenes.registry import SCENES
from gf_env.storage.files import only_process
from gf_env.training import processes
from gf_env.training.loop import training_progress


@dataclass(frozen=True)
class Train:
    """Train GFNet: starting weights, stage 1, stage 2 (the policy), stage 3.

    Every phase writes OUTPUT/PHASE/best.safetensors (the best epoch by validation accuracy after
    the last look), last.safetensors (to resume from) and TensorBoard logs. OUTPUT/manifest.json
    says what all of it was made by. Settings come from a preset, then a file, then the command
    line. The defaults are those of the built-in networks.

    Attributes:
        output: folder for the files.
        preset: settings to start from: those of a built-in network (cluttered-digits,
            hidden-digits, signposts, digit-sums), a MobileNetV3 from nothing (landolt-rings), or
            the paper's for a family: resnet, densenet, regnet, efficientnet or mobilenetv3.
        config: JSON file of settings, such as the config.json of another training.
        phases: which phases to run, in this order; the preset's by default.
        resume: resume the training in the folder.
        device: where training runs; `cuda` under a launcher is a GPU for each process.
        workers: processes that read images ahead.
        figures: measure the networks at the end, beside rules and oracle.
        training: what the result depends on.
    """

    output: Path = Path("runs/network")
    preset: Annotated[str, one_of(presets.PRESETS)] = presets.BUILTIN
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
            alone = only_process(self.output, "training")
            with alone if processes.is_main() else contextlib.nullcontext():
                self._run(device, console)
        finally:
            processes.stop_processes()

    def _run(self, device: torch.device, console: Console) -> None:
        phases = self.phases or presets.preset(self.preset).phases
        check_learned(self.training, phases)
        main = processes.is_main()
        if main and self.training.data.dataset not in SCENES:
            console.print(splits_used(self.training.data), markup=False, highlight=False)
        with training_progress(console) as progress:
            loading = Loading(device, self.workers)
            run = TrainingRun(self.training, self.output, loading=loading, progress=progress)
            claim = claimed_folder(self.output, self.training, resume=self.resume)
            with claim if main else contextlib.nullcontext():
                run.run(phases)
        if not main:
            return
        if self.figures:
            with console.status("measuring the networks on the test split"):
                write_network_metrics(run, console)
        self._write_manifest(run)
        console.print(f"Written to {self.output}.")

    def _write_manifest(self, run: TrainingRun) -> None:
        made = {file.parent.name: file for file in self.output.glob("*/best.safetensors")}
        settings = self.training
        seeds = {settings.recipe.seed, settings.stage2.seed, settings.policy.learner_config().seed}
        write_manifest(
            self.output / MANIFEST,
            self,
            seeds=sorted(seeds),
            networks={name: file_digest(file) for name, file in sorted(made.items())},
            data=data_digests([run.images, run.policy_images, run.validation, run.test]),
            files=[self.output / SETTINGS, *made.values(), *self.output.glob("*/figures.json")],
            device=self.device,
        )
