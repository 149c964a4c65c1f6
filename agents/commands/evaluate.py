"""`gf-env evaluate`: policies on a frozen network, and what they save by stopping early."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from pydantic import NonNegativeInt, PositiveInt
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from agents.policies.base import Policy, PrivilegedPolicy
from agents.policies.oracle import GreedyOracle
from agents.policies.rules import CentreCornerPolicy, CentrePolicy, GaussianPolicy, RandomPolicy
from agents.registry.choices import DATASET, LEVEL, SPLIT, one_of
from agents.registry.files import is_official, load_policy, open_network
from agents.registry.policies import make_policy
from agents.reporting.comparison import Row, compare, table, write_results
from agents.reporting.provenance import versions
from gf_env.builtin_tasks import DEFAULT_TASK, PlayedWith, played_with
from gf_env.configuration import configuration
from gf_env.datasets import Dataset, load_dataset
from gf_env.datasets.base import UNREADABLE
from gf_env.datasets.load import has_split
from gf_env.envs.make_task import own_network
from gf_env.evaluation import Evaluation, evaluate
from gf_env.inference.budgets import budgeted_curve
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import stops

RANDOM, ORACLE, RELEASED = "random", "greedy oracle (sees labels)", "the checkpoint's policy"
Policies = Mapping[str, Policy | PrivilegedPolicy]
SHOWN_BUDGETS = 4
"""Of the budgets, one in so many is printed."""


@configuration
class Evaluate:
    """Evaluate policies on a frozen network, beside the blind rules and the greedy oracle.

    Prints the accuracy after each look (anytime prediction), and where a policy decides itself when
    to stop, how many looks it took and what they cost. For the other named policies also the
    accuracy at several mean costs when images leave once the network is sure (budgeted batch); the
    thresholds come from another split.

    Attributes:
        policies: rules by name, files of policies, or package.module:Name; see
            `agents.registry.policies`. A released checkpoint brings its own.
        network: a built-in name, a file, or a checkpoint of the paper's release (.pth.tar); by
            default the built-in task's own.
        dataset: name or folder; see `gf_env.load_dataset`.
        level: of a built-in task: `easy`, `default` or `hard`.
        sequence_length: T, glance included; by default the built-in task's at its level, for other
            data sets the network's own.
        split: which part of it.
        threshold_split: where exit thresholds are searched; not the same images. `validation` by
            default, or `train` where the data set has none.
        num_images: the first so many of each split; all by default.
        further: how many scenes of a built-in task to evaluate beyond those of the split, in a
            table of their own. Nothing was chosen by them.
        output: a file of JSON for the tables.
        oracle: also evaluate the greedy oracle, which tries every patch of a grid for each look.
        sampled: sample actions instead of taking the likeliest.
        unreadable: `stop` at images that cannot be decoded, or `skip` them with a count.
        trust_sb3: load models that Stable-Baselines3 saved (.zip), which may run any code.
        device: where the network runs.
        workers: processes that read images ahead.
    """

    policies: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    network: str | None = None
    dataset: Annotated[str, DATASET] = DEFAULT_TASK
    level: Annotated[str | None, LEVEL] = None
    sequence_length: int | None = None
    split: Annotated[str, SPLIT] = "test"
    threshold_split: Annotated[str | None, SPLIT] = None
    num_images: PositiveInt | None = None
    further: NonNegativeInt = 0
    output: Path | None = None
    oracle: bool = True
    sampled: bool = False
    unreadable: Annotated[str, one_of(UNREADABLE)] = "stop"
    trust_sb3: bool = False
    device: str = "cpu"
    workers: NonNegativeInt = 0

    def __post_init__(self) -> None:
        """Refuse further scenes where not even all of the split's are wanted."""
        if self.further and self.num_images is not None:
            raise ValueError("further scenes come after all of the split's: leave num_images out")

    def run(self, console: Console) -> None:
        """Evaluate, print the tables and write them."""
        own = played_with(self.dataset, self.level)
        network = self._network(own)
        named = {
            name: make_policy(name, network=network, trust_sb3=self.trust_sb3)
            for name in self.policies
        }
        if self.network is not None and is_official(self.network):
            named[RELEASED] = load_policy(self.network)
        test = self._images(self.split, network, own)
        scenes = test
        if self.further:
            scenes = self._images(self.split, network, own, len(test) + self.further)
        held_out = self._images(self._threshold_split(), network, own) if named else None
        candidates: Policies = {
            RANDOM: RandomPolicy(),
            "centre": CentrePolicy(),
            "centre, then corners": CentreCornerPolicy(),
            "Gaussian": GaussianPolicy(),
            **named,
            **({ORACLE: GreedyOracle(own.grid_size)} if self.oracle else {}),
        }
        results = evaluate_all(candidates, console, **self._arguments(scenes, network, own))
        tables = self._tables(results, len(test))
        if self.output is not None:
            settings = {**asdict(self), "output": str(self.output)}
            about = {"settings": settings, "network": network.digest(), "versions": versions()}
            write_results(self.output, {**about, "tables": tables})
        for title, rows in tables.items():
            console.print(table(rows, f"{title}: accuracy after each look"))
        if held_out is not None:
            others = {name: policy for name, policy in named.items() if not stops(policy)}
            arguments = self._arguments(held_out, network, own)
            for name, evaluation in evaluate_all(others, console, **arguments).items():
                console.print(_budgets(name, evaluation, results[name].take(slice(len(test)))))

    def _network(self, own: PlayedWith) -> GlanceFocusNet:
        if self.network is None:
            return own_network(own, torch.device(self.device))
        return open_network(self.network, self.device)

    def _threshold_split(self) -> str:
        if self.threshold_split is not None:
            return self.threshold_split
        return "validation" if has_split(self.dataset, "validation") else "train"

    def _images(
        self, split: str, network: GlanceFocusNet, own: PlayedWith, size: int | None = None
    ) -> Dataset:
        like = network.config.image_spec
        return load_dataset(own.dataset, split, size=size, like=like, unreadable=self.unreadable)

    def _arguments(
        self, images: Dataset, network: GlanceFocusNet, own: PlayedWith
    ) -> dict[str, Any]:
        """Return the arguments of `evaluate_all` for a split."""
        length = self.sequence_length
        return {
            "network": network,
            "dataset": images,
            "sequence_length": own.sequence_length if length is None else length,
            "num_images": None if self.num_images is None else min(self.num_images, len(images)),
            "deterministic": not self.sampled,
            "device": self.device,
            "workers": self.workers,
        }

    def _tables(self, results: Mapping[str, Evaluation], own: int) -> dict[str, list[Row]]:
        """Return the rows of the split's own images, and of the further ones, by a title."""
        count = len(results[RANDOM].labels)
        parts = {f"{min(own, count):,} images of {self.split}": slice(own)}
        if self.further:
            parts[f"{self.further:,} further images of {self.split}"] = slice(own, count)
        return {
            title: compare(
                {name: each.take(rows) for name, each in results.items()},
                random=RANDOM,
                oracle=ORACLE if self.oracle else None,
            )
            for title, rows in parts.items()
        }


def evaluate_all(policies: Policies, console: Console, **arguments: Any) -> dict[str, Evaluation]:
    """Evaluate policies by name with the arguments of `gf_env.evaluate`; show a progress bar."""
    results = {}
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("")

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        for name, policy in policies.items():
            progress.update(bar, description=f"evaluating {name}")
            results[name] = evaluate(policy, progress=show, **arguments)
    return results


def _budgets(name: str, held_out: Evaluation, test: Evaluation) -> Table:
    """Return the budgeted-batch curve of one policy as a terminal table."""
    made = Table(title=f"{name}: images leave once the network is sure")
    for column in ("q", "mean multiply-adds", "accuracy", "share that leaves after each look"):
        made.add_column(column, justify="right")
    curve = budgeted_curve(
        held_out.max_probability, test.max_probability, test.correct, test.multiply_adds
    )
    for point in curve[::SHOWN_BUDGETS]:
        made.add_row(
            f"{point.q:.2f}",
            f"{point.mean_cost / 1e6:,.2f} M",
            f"{point.accuracy:.3f}",
            " ".join(f"{share:.2f}" for share in point.exit_shares),
        )
    return made
