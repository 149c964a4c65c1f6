"""`gf-env demo`: trains policies on the built-in task, compares them and draws episodes."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from agents.commands.evaluate import ORACLE, RANDOM, Policies, evaluate_all
from agents.learners.base import OnUpdate, Update
from agents.learners.paper_ppo import PaperPPOConfig
from agents.learners.paper_ppo import train as train_paper
from agents.learners.q_learning import train as train_values
from agents.policies.base import Policy
from agents.policies.oracle import GreedyOracle
from agents.policies.rules import CentreCornerPolicy, CentrePolicy, RandomPolicy
from agents.registry.learners import LEARNERS
from agents.reporting import comparison, plots
from agents.reporting.provenance import MANIFEST, data_digests, versions, write_manifest
from agents.sb3.learners import SB3Config
from agents.sb3.learners import train as train_sb3
from gf_env.envs.make_task import make_task

PAPER, SB3, MAP = "paper's policy", "SB3 PPO", "Q-learning on a map"
_MAP = {"updates": 130, "num_envs": 512, "gamma": 0.0}
"""Settings of a training on a map."""
_Trained = TypeVar("_Trained")


@dataclass(frozen=True)
class Demo:
    """Train policies on the built-in task, the paper's among them, compare and draw them.

    Attributes:
        output: folder for results.json, accuracy.png, episodes.png, the trained policies and a
            manifest.
        train_seconds: for the paper's policy.
        sb3_seconds: for SB3's PPO.
        map_seconds: for Q-learning on a map of the image, at most; it ends by itself after 270,000
            steps.
        test_images: of the test split.
        seed: of all learners.
    """

    output: Path = Path("runs/demo")
    train_seconds: float = 180.0
    sb3_seconds: float = 60.0
    map_seconds: float = 90.0
    test_images: int = 2000
    seed: int = 0

    def run(self, console: Console) -> None:
        """Train, evaluate, print the table and write the results."""
        began = time.perf_counter()
        trained, lengths = self._trained(console)
        policies: Policies = {
            RANDOM: RandomPolicy(self.seed),
            "centre": CentrePolicy(),
            "centre, then corners": CentreCornerPolicy(),
            **trained,
            ORACLE: GreedyOracle(),
        }
        evaluations = evaluate_all(policies, console, num_images=self.test_images)
        on_train = evaluate_all(trained, console, split="train", num_images=self.test_images)
        rows = comparison.compare(evaluations, random=RANDOM, oracle=ORACLE)
        title = f"{self.test_images:,} test scenes: accuracy after each look"
        console.print(comparison.table(rows, title))
        for name, found in on_train.items():
            returns = f"{found.mean_return:.3f} on train and {evaluations[name].mean_return:.3f}"
            console.print(f"{name}: mean return {returns} on test scenes", highlight=False)
        comparison.write_results(
            self.output / "results.json",
            {
                "task": "cluttered-digits",
                "settings": {**asdict(self), "output": str(self.output)},
                **lengths,
                "mean_return_on_train": {name: each.mean_return for name, each in on_train.items()},
                "seconds": time.perf_counter() - began,
                "versions": versions(),
                "policies": rows,
            },
        )
        plots.plot_accuracy(self.output / "accuracy.png", rows, title)
        shown = {name: evaluations[name] for name in (RANDOM, PAPER, MAP, ORACLE)}
        train, test = make_task(), make_task(split="test")
        plots.draw_episodes(self.output / "episodes.png", test, shown)
        made = ["results.json", "accuracy.png", "episodes.png"]
        made += ["paper_policy.safetensors", "map_policy.safetensors"]
        write_manifest(
            self.output / MANIFEST,
            self,
            seeds=[self.seed],
            networks={"cluttered-digits": test.network.digest()},
            data=data_digests([train.dataset, test.dataset]),
            files=[self.output / name for name in made],
        )
        console.print(f"Written to {self.output}: results.json, accuracy.png, episodes.png.")

    def _trained(self, console: Console) -> tuple[dict[str, Policy], dict[str, float]]:
        """Return what was trained, by name, and how long it took, for the results."""
        task = make_task()
        console.print(
            f"Task: {len(task.dataset):,} train scenes of {task.dataset.name}; "
            f"{task.rules.sequence_length - 1} looks after the glance."
        )
        paper_config = PaperPPOConfig(updates=10**6, max_seconds=self.train_seconds, seed=self.seed)
        sb3_config = SB3Config(
            total_timesteps=10**7,
            encoder="flat",  # as SB3 itself does
            max_seconds=self.sb3_seconds,
            seed=self.seed,
        )
        map_config = LEARNERS["map-q"].config(**_MAP, max_seconds=self.map_seconds, seed=self.seed)
        paper, paper_last = _train(PAPER, partial(train_paper, task), paper_config, console)
        paper.save(self.output / "paper_policy.safetensors")
        sb3, _ = _train(SB3, train_sb3, sb3_config, console)
        on_map, map_last = _train(
            MAP, partial(train_values, make_task(grid_size=7)), map_config, console
        )
        on_map.save(self.output / "map_policy.safetensors")
        lengths = {
            "paper_updates": paper_last.number,
            "paper_seconds": paper_last.seconds,
            "sb3_steps": sb3.num_timesteps,
            "map_steps": map_last.steps,
            "map_seconds": map_last.seconds,
        }
        return {SB3: sb3, PAPER: paper, MAP: on_map}, lengths


def _train(
    name: str, train: Callable[[Any, OnUpdate], _Trained], config: Any, console: Console
) -> tuple[_Trained, Update]:
    """Train with a progress bar by the clock; return the policy and the last update."""
    updates: list[Update] = []
    smooth: dict[str, float] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(name, total=config.max_seconds)

        def show(update: Update) -> None:
            updates.append(update)
            for metric, value in update.metrics.items():
                smooth[metric] = 0.95 * smooth.get(metric, value) + 0.05 * value
            progress.update(
                bar,
                completed=update.seconds,
                description=f"{name}: {update.steps:,} steps, train return "
                f"{smooth['charts/episodic_return']:.3f}, accuracy {smooth['charts/accuracy']:.3f}",
            )

        return train(config, show), updates[-1]
