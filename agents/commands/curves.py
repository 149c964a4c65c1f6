"""`gf-env curves`: accuracy against cost, for a network and for plain ones at several sizes."""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from pydantic import Field, NonNegativeInt
from rich.console import Console

from agents.curves.measure import PLAIN, plain_networks
from agents.curves.page import report_page
from agents.curves.pairs import FURTHER, TEST, Images, MeasuredPair, load_pair, measure_pair
from agents.curves.report import (
    COSTS,
    EARLY_EXITS,
    Timed,
    comparison_table,
    pair_report,
    pairs_report,
    plot_curves,
    points_with_time,
)
from agents.curves.timing import TimingConfig, seconds_per_image
from agents.policies.base import Policy
from agents.policies.network_policy import NetworkPolicy
from agents.registry.choices import one_of
from agents.registry.files import load_policy, open_network, policy_file
from agents.reporting.provenance import (
    MANIFEST,
    data_digests,
    file_digest,
    versions,
    write_manifest,
)
from agents.stages import presets
from agents.stages.config import TrainConfig
from agents.stages.folders import claimed_folder, trained_pair
from agents.stages.run import TrainingRun, load_split
from gf_env.configuration import configuration
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.batches import Loading
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier, load_image_classifier
from gf_env.storage.files import only_process, write_atomically
from gf_env.training.loop import PhaseFolder, training_progress

FULL = "full_resolution"
"""The phase whose classifier sees images as they are."""

_FILES = [*(f"{name}.png" for name in COSTS), "curves.json", "report.md"]
"""What is written, beside the pairs and the manifest."""

_Opened = tuple[GlanceFocusNet, Policy]


@configuration
class Curves:
    """Draw accuracy against multiply-adds and against measured time, as the paper does.

    Trains a plain network of the same backbone for every input size, with the low-resolution
    schedule and from the full-resolution weights; the full size is the full-resolution classifier
    itself. Then compares GFNet with plain networks that are as often right. Writes
    OUTPUT/multiply_adds.png, seconds.png, curves.json, report.md, pairs and a manifest.
    Exit thresholds are searched and chosen on the validation split, all metrics are of the test
    split.

    Attributes:
        network: a built-in name, a file, or a checkpoint of the paper's release.
        policy: for this network, likewise; it does not stop.
        trainings: folders of gf-env train with further pairs, trained alike, for intervals; or the
            files of OUTPUT/pairs that were made of them.
        further: scenes of a built-in task beyond those of the test split on which the comparison
            is made once more.
        sizes: input sizes of the plain networks, pixels.
        output: folder for the plots.
        folder: where the plain networks are trained; those that are there already are taken, also
            without the state from which a training is resumed.
        preset: see `gf-env train`.
        config: likewise.
        trust_sb3: load a model that Stable-Baselines3 saved (.zip), which may run any code.
        device: where everything runs.
        workers: processes that read images ahead.
        timing: how time is measured.
        training: how the plain networks are trained.
    """

    network: str = "cluttered-digits-search"
    policy: str = "cluttered-digits-search"
    trainings: tuple[Path, ...] = ()
    further: NonNegativeInt = 0
    sizes: tuple[int, ...] = (24, 36, 48, 60, 72, 96)
    output: Path = Path("runs/curves")
    folder: Path = Path("runs/plain")
    preset: Annotated[str, one_of(presets.PRESETS)] = presets.BUILTIN
    config: Path | None = None
    trust_sb3: bool = False
    device: str = "cpu"
    workers: NonNegativeInt = 0
    timing: TimingConfig = Field(default_factory=TimingConfig)
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = Field(default_factory=TrainConfig)

    def run(self, console: Console) -> None:
        """Train what is missing, measure, draw and write."""
        loading = Loading(torch.device(self.device), self.workers)
        self._check_sizes()
        shown = self._open(self.network, self.policy)
        others = [self._further(path) for path in self.trainings]
        with training_progress(console) as progress:
            run = TrainingRun(self.training, self.folder, loading=loading, progress=progress)
            images = self._images(run, loading)
            classifiers = self._train_plain(run)
        with console.status("measuring"):
            plain = list(plain_networks(classifiers, images.test, loading))
            pairs = [
                pair.beside(plain, images)
                for pair in self._pairs([(self.network, shown), *others], images)
            ]
            times = list(self._time(shown, classifiers, pairs[0], images.test))
        self._write(pairs, times, console)
        self._write_manifest(pairs, run)

    def _check_sizes(self) -> None:
        """Check the sizes before the split to learn from is made, which may take a while."""
        held_out = load_split(self.training, self.training.data.validation_split)
        image_size = held_out.spec.image_size
        unfit = [size for size in self.sizes if not 1 <= size <= image_size]
        if unfit or not self.sizes:
            raise ValueError(
                f"sizes must be from 1 to {image_size}, the images' own, got {list(self.sizes)}"
            )

    def _further(self, path: Path) -> tuple[str, MeasuredPair | _Opened]:
        """Return the name of a further pair, and what it is."""
        if path.is_file():
            return path.stem, load_pair(path)
        return path.name, self._open(*map(str, trained_pair(path)))

    def _pairs(
        self, given: Sequence[tuple[str, MeasuredPair | _Opened]], images: Images
    ) -> Iterator[MeasuredPair]:
        """Measure what was not measured before; all are written."""
        for number, (name, each) in enumerate(given):
            pair = each if isinstance(each, MeasuredPair) else measure_pair(*each, images)
            pair.save(self.output / "pairs" / f"{number}-{Path(name).stem}.json")
            yield pair

    def _open(self, network: str, policy: str) -> _Opened:
        opened = load_policy(policy, trust_sb3=self.trust_sb3)
        if isinstance(opened, NetworkPolicy):
            opened.network.to(self.device)
        return open_network(network, self.device), opened

    def _images(self, run: TrainingRun, loading: Loading) -> Images:
        """Return what is measured on, with the further scenes behind those of the test split."""
        parts = {TEST: slice(0, len(run.test))}
        test: Dataset = run.test
        if self.further:
            parts[FURTHER] = slice(len(test), len(test) + self.further)
            test = load_dataset(test.name, test.split, size=len(test) + self.further)
        return Images(run.validation, test, parts, loading)

    def _train_plain(self, run: TrainingRun) -> dict[int, ImageClassifier]:
        """Train the plain networks that are missing, and return all by size."""
        image_size = run.images.spec.image_size
        phases = {size: f"plain_{size}" for size in self.sizes if size != image_size}
        starts_from_it = self.training.given.low_resolution is None
        with (
            only_process(self.folder, "training"),
            claimed_folder(self.folder, self.training, resume=True),
        ):
            if image_size in self.sizes or starts_from_it:
                phases[image_size] = FULL
                if not _is_finished(run.place(FULL)):
                    run.full_resolution()
            for size, phase in phases.items():
                if phase != FULL and not _is_finished(run.place(phase)):
                    run.train_smaller(phase, size)
        return {
            size: load_image_classifier(run.place(phases[size]).best, run.loading.device)
            for size in self.sizes
        }

    def _time(
        self,
        shown: _Opened,
        classifiers: dict[int, ImageClassifier],
        pair: MeasuredPair,
        test: Dataset,
    ) -> list[Timed]:
        """Time all points at the first batch size and threads, and those compared at each."""
        every = pair.points[TEST]
        compared = [each.point for curve in EARLY_EXITS for each in pair.comparisons(TEST, curve)]
        some = [point for point in every if point.curve == PLAIN or point in compared]
        count = min(len(test), self.timing.images)
        images = test.images(np.arange(count)).to(self.device)
        classifier = AdaptiveClassifier(*shown)
        made: list[Timed] = []
        for batch_size, threads in itertools.product(self.timing.batch_sizes, self.timing.threads):
            points = some if made else every
            seconds = seconds_per_image(
                classifier,
                classifiers,
                points,
                images,
                self.timing,
                batch_size=batch_size,
                threads=threads,
            )
            made.append(Timed(batch_size, threads, points, seconds))
        return made

    def _write(
        self, pairs: Sequence[MeasuredPair], times: Sequence[Timed], console: Console
    ) -> None:
        names = [self.network, *map(str, self.trainings)]
        found: dict[str, Any] = {
            "network": self.network,
            "policy": self.policy,
            "points": points_with_time(times[0]),
            "pairs": [
                {"name": name, **pair_report(pair)} for name, pair in zip(names, pairs, strict=True)
            ],
            "over_pairs": pairs_report(pairs),
            "time": [self._timed(each, pairs[0]) for each in times],
            "further_scenes": self.further,
            "timing": dataclasses.asdict(self.timing),
            "training": dataclasses.asdict(self.training),
            "versions": versions(),
        }
        content = json.dumps(found, indent=2) + "\n"
        write_atomically(self.output / "curves.json", content.encode())
        write_atomically(self.output / "report.md", report_page(found).encode())
        title = f"{self.network}: {self.training.data.test_split} split"
        for cost in COSTS:
            plot_curves(self.output / f"{cost}.png", times[0], cost, title)
        for curve in EARLY_EXITS:
            comparisons = pairs[0].comparisons(TEST, curve)
            columns = {_label(each): each.compared(comparisons) for each in times}
            console.print(comparison_table(curve, comparisons, columns))
        console.print(f"Written to {self.output}.")

    def _write_manifest(self, pairs: Sequence[MeasuredPair], run: TrainingRun) -> None:
        names = [self.network, *map(str, self.trainings)]
        digests = {name: each.network for name, each in zip(names, pairs, strict=True)}
        folders = [path for path in self.trainings if path.is_dir()]
        policies = [self.policy, *(str(trained_pair(folder)[1]) for folder in folders)]
        plain = {file.parent.name: file for file in self.folder.glob("*/best.safetensors")}
        used = {f"policy {name}": policy_file(name) for name in policies} | plain
        write_manifest(
            self.output / MANIFEST,
            self,
            seeds=[self.training.recipe.seed],
            networks=digests | {name: file_digest(file) for name, file in used.items()},
            data=data_digests([run.images, run.validation, run.test]),
            files=[self.output / name for name in _FILES],
            device=self.device,
        )

    def _timed(self, timed: Timed, pair: MeasuredPair) -> dict[str, Any]:
        return {
            "batch_size": timed.batch_size,
            "threads": timed.threads,
            **{curve: timed.compared(pair.comparisons(TEST, curve)) for curve in EARLY_EXITS},
        }


def _is_finished(place: PhaseFolder) -> bool:
    """Whether a phase was brought here from elsewhere: without what it is resumed from."""
    return place.best.is_file() and not place.last.is_file()


def _label(timed: Timed) -> str:
    threads = "1 thread" if timed.threads == 1 else f"{timed.threads} threads"
    return f"time, batch {timed.batch_size}, {threads}"
