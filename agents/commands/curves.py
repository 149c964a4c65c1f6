"""`gf-env curves`: accuracy against cost, for a network and for plain ones at several sizes."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from pydantic import Field, NonNegativeInt
from rich.console import Console
from rich.table import Table

from agents.curves.measure import LatencyConfig, Point, measure_curves
from agents.curves.report import COSTS, EARLY_EXITS, STYLES, plot_curves, summary
from agents.policies.network_policy import NetworkPolicy
from agents.registry.files import load_policy, open_network
from agents.reporting.provenance import versions
from agents.stages import presets
from agents.stages.config import TrainConfig, claim_folder
from agents.stages.run import TrainingRun
from gf_env.configuration import configuration
from gf_env.datasets.batches import Loading
from gf_env.network.image_classifier import ImageClassifier, load_image_classifier
from gf_env.storage.tensors import write_atomically
from gf_env.training.loop import training_progress


@configuration
class Curves:
    """Draw accuracy against multiply-adds and against measured time, as the paper does.

    Trains a plain network of the same backbone for every input size, with the low-resolution
    schedule and from the full-resolution weights; the full size is the full-resolution classifier
    itself. Writes OUTPUT/multiply_adds.png, OUTPUT/seconds.png and OUTPUT/curves.json. Exit
    thresholds are searched on the validation split, all metrics are of the test split.

    Attributes:
        network: a built-in name, a file, or a checkpoint of the paper's release.
        policy: for this network, likewise; it does not stop.
        sizes: input sizes of the plain networks, pixels.
        output: folder for the plots.
        folder: where the plain networks are trained; those that are there already are taken.
        preset: see `gf-env train`.
        config: likewise.
        device: where everything runs.
        workers: processes that read images ahead.
        latency: how time is measured.
        training: how the plain networks are trained.
    """

    network: str = "cluttered-digits-stage3"
    policy: str = "cluttered-digits"
    sizes: tuple[int, ...] = (24, 36, 48, 60, 72, 96)
    output: Path = Path("runs/curves")
    folder: Path = Path("runs/plain")
    preset: str = presets.BUILTIN
    config: Path | None = None
    device: str = "cpu"
    workers: NonNegativeInt = 0
    latency: LatencyConfig = Field(default_factory=LatencyConfig)
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = Field(default_factory=TrainConfig)

    def run(self, console: Console) -> None:
        """Train what is missing, measure, draw and write."""
        device = torch.device(self.device)
        network = open_network(self.network, self.device)
        policy = load_policy(self.policy)
        if isinstance(policy, NetworkPolicy):
            policy.network.to(device)
        with training_progress(console) as progress:
            run = TrainingRun(
                self.training, self.folder, loading=Loading(device, self.workers), progress=progress
            )
            self._check_sizes(run.images.spec.image_size)
            claim_folder(self.folder, self.training, resume=True)
            run.full_resolution()
            plain = {size: self._plain(run, size, device) for size in self.sizes}
        with console.status("measuring"):
            points = measure_curves(
                network, policy, plain, run.validation, run.test, self.latency, self.workers
            )
        self._write(points, console)

    def _check_sizes(self, image_size: int) -> None:
        unfit = [size for size in self.sizes if not 1 <= size <= image_size]
        if unfit or not self.sizes:
            raise ValueError(
                f"sizes must be from 1 to {image_size}, the images' own, got {list(self.sizes)}"
            )

    def _plain(self, run: TrainingRun, size: int, device: torch.device) -> ImageClassifier:
        phase = "full_resolution"
        if size != run.images.spec.image_size:
            phase = f"plain_{size}"
            run.train_smaller(phase, size)
        return load_image_classifier(run.place(phase).best, device)

    def _write(self, points: list[Point], console: Console) -> None:
        found = summary(points)
        about: dict[str, Any] = {
            "network": self.network,
            "policy": self.policy,
            "latency": {**dataclasses.asdict(self.latency), "threads": torch.get_num_threads()},
            "training": dataclasses.asdict(self.training),
            "versions": versions(),
        }
        content = json.dumps({**found, **about}, indent=2) + "\n"
        write_atomically(self.output / "curves.json", content.encode())
        title = f"{self.network}: {self.training.data.test_split} split"
        for cost in COSTS:
            plot_curves(self.output / f"{cost}.png", points, cost, title)
            for curve in EARLY_EXITS:
                console.print(_comparison(found["at_plain_accuracies"][curve][cost], curve, cost))
        console.print(f"Written to {self.output}.")


def _comparison(rows: list[dict[str, float]], curve: str, cost: str) -> Table:
    label, unit = COSTS[cost]
    made = Table(title=f"{STYLES[curve][0]}; {label}, at equal accuracy")
    for column in ("plain network at", "accuracy", "plain", "GFNet", "ratio"):
        made.add_column(column, justify="right")
    for row in rows:
        made.add_row(
            f"{row['input_size']:.0f} px",
            f"{row['accuracy']:.3f}",
            f"{row['plain'] / unit:.3f}",
            f"{row['gfnet'] / unit:.3f}",
            f"{row['ratio']:.2f}",
        )
    return made
