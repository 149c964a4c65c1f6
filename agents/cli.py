"""The `gf-env` command.

It stands here because it joins both packages, and `gf_env` never imports `agents`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table

from agents import demo
from agents.baselines import CentreCornerPolicy, CentrePolicy, GaussianPolicy, RandomPolicy
from agents.comparison import compare, table
from agents.network_figures import MEASURED_SPLITS, network_figures
from agents.oracle import GreedyOracle
from agents.patch_proposal import PaperPolicy
from agents.policy import Policy, PrivilegedPolicy
from agents.versions import versions
from gf_env.datasets import load_dataset
from gf_env.evaluation import evaluate
from gf_env.network import load_network
from gf_env.tensor_files import write_atomically
from gf_env.training.recipe import Recipe, train_network, training_progress


@dataclass(frozen=True)
class Train:
    """Train a network from nothing: starting weights, then stage 1 on random patches.

    Writes OUTPUT/NAME.safetensors, the plain classifier it started from as
    OUTPUT/full_resolution/NAME.safetensors, and the figures it reached as OUTPUT/NAME.json. The
    defaults make the built-in network.

    Attributes:
        output: folder for the files.
        name: of the network.
        dataset: name or folder; see `gf_env.load_dataset`.
        split: what it learns from.
        device: where training runs.
        recipe: what to make and how.
    """

    output: Path = Path("runs/network")
    name: str = "cluttered-digits"
    dataset: str = "cluttered-digits"
    split: str = "pretrain"
    device: str = "cpu"
    recipe: Recipe = field(default_factory=Recipe)

    def run(self, console: Console) -> None:
        """Train, measure, write."""
        began = time.perf_counter()
        images = load_dataset(self.dataset, self.split)
        for measured in MEASURED_SPLITS:  # a missing one is better said before training than after
            load_dataset(self.dataset, measured)
        with training_progress() as progress:
            trained = train_network(
                self.recipe, images, device=torch.device(self.device), progress=progress
            )
        seconds = time.perf_counter() - began
        trained.network.save(self.output / f"{self.name}.safetensors")
        trained.full_resolution.save(self.output / "full_resolution" / f"{self.name}.safetensors")
        console.print("Measuring it on the test split ...")
        figures = network_figures(
            trained.network, trained.full_resolution, self.dataset, device=self.device
        )
        report = {
            **figures,
            "training_seconds": seconds,
            "training_images": len(images),
            "recipe": asdict(self.recipe),
            "versions": versions(),
        }
        path = self.output / f"{self.name}.json"
        write_atomically(path, (json.dumps(report, indent=2) + "\n").encode())
        console.print_json(data=figures)
        console.print(f"Written to {self.output} in {seconds / 60:.1f} minutes.")


@dataclass(frozen=True)
class Evaluate:
    """Evaluate policies on a frozen network, beside the blind rules and the greedy oracle.

    Attributes:
        policies: files of the paper's policy, as its training writes them.
        network: a built-in name or a file.
        dataset: name or folder; see `gf_env.load_dataset`.
        split: which part of it.
        num_images: the first so many; all by default.
        sampled: sample actions instead of taking the likeliest.
        device: where the network runs.
    """

    policies: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    network: str = "cluttered-digits"
    dataset: str = "cluttered-digits"
    split: str = "test"
    num_images: int | None = None
    sampled: bool = False
    device: str = "cpu"

    def run(self, console: Console) -> None:
        """Evaluate and print one table."""
        network = load_network(self.network, self.device)
        images = load_dataset(self.dataset, self.split, like=network.config.image_spec)
        candidates: dict[str, Policy | PrivilegedPolicy] = {
            "random": RandomPolicy(),
            "centre": CentrePolicy(),
            "centre, then corners": CentreCornerPolicy(),
            "Gaussian": GaussianPolicy(),
            **{str(path): PaperPolicy.load(path) for path in self.policies},
            "greedy oracle (sees labels)": GreedyOracle(),
        }
        results = {}
        with console.status("evaluating") as status:
            for name, policy in candidates.items():
                status.update(f"evaluating {name}")
                results[name] = evaluate(
                    policy,
                    network=network,
                    dataset=images,
                    split=self.split,
                    num_images=self.num_images,
                    deterministic=not self.sampled,
                    device=self.device,
                )
        rows = compare(results, random="random", oracle="greedy oracle (sees labels)")
        count = len(next(iter(results.values())).labels)
        console.print(table(rows, f"{count:,} images of {self.split}: accuracy after each look"))


@dataclass(frozen=True)
class Demo:
    """Train the paper's policy on the built-in task, compare it with others, and draw what it does.

    Attributes:
        config: how long it takes and where the results go.
    """

    config: tyro.conf.OmitArgPrefixes[demo.DemoConfig] = field(default_factory=demo.DemoConfig)

    def run(self, console: Console) -> None:
        """Run the demo."""
        demo.run(self.config, console)


@dataclass(frozen=True)
class Info:
    """Say what a network is and what it costs.

    Attributes:
        network: a built-in name or a file.
    """

    network: Annotated[str, tyro.conf.Positional] = "cluttered-digits"

    def run(self, console: Console) -> None:
        """Print the configuration and the multiply-adds."""
        network = load_network(self.network)
        made = Table("", "", show_header=False, title=self.network)
        for key, value in asdict(network.config).items():
            made.add_row(key, str(value))
        cost = network.step_cost
        made.add_row("parameters", f"{sum(p.numel() for p in network.parameters()):,}")
        made.add_row("multiply-adds, glance", f"{cost.glance:,}")
        made.add_row("multiply-adds, each focus step", f"{cost.focus:,}")
        console.print(made)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    command = tyro.extras.subcommand_cli_from_dict(
        {"train": Train, "evaluate": Evaluate, "demo": Demo, "info": Info},
        prog="gf-env",
        args=arguments,
    )
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        command.run(console)
    except (ArithmeticError, OSError, ValueError) as error:
        # what the user can mend is said without a traceback, unless it is asked for
        if os.environ.get("GF_ENV_TRACEBACK"):
            raise
        Console(stderr=True).print(f"gf-env: {error}", style="red", markup=False, highlight=False)
        return 1
    return 0
