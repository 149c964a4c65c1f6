"""`gf-env demo`: trains the paper's policy on the built-in task, compares it and draws episodes."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from agents.learners.base import Update
from agents.learners.paper_ppo import PaperPPOConfig
from agents.learners.paper_ppo import train as train_paper
from agents.policies.oracle import GreedyOracle
from agents.policies.paper import PaperPolicy
from agents.policies.rules import CentreCornerPolicy, CentrePolicy, RandomPolicy
from agents.reporting import comparison, plots
from agents.reporting.provenance import versions
from agents.sb3.learners import SB3Config
from agents.sb3.learners import train as train_sb3
from gf_env.envs.make_task import make_task
from gf_env.evaluation import Evaluation, evaluate

RANDOM, ORACLE, PAPER, SB3 = "random", "greedy oracle (sees labels)", "paper's policy", "SB3 PPO"


@dataclass(frozen=True)
class Demo:
    """Train the paper's policy on the built-in task, compare it with others, and draw what it does.

    Attributes:
        output: folder for results.json, accuracy.png, episodes.png and the trained policy.
        train_seconds: for the paper's policy.
        sb3_seconds: for SB3's PPO.
        test_images: of the test split.
        seed: of both learners.
    """

    output: Path = Path("runs/demo")
    train_seconds: float = 180.0
    sb3_seconds: float = 60.0
    test_images: int = 2000
    seed: int = 0

    def run(self, console: Console) -> None:
        """Train, evaluate, print the table and write the results."""
        began = time.perf_counter()
        task = make_task()
        console.print(
            f"Task: {len(task.dataset):,} train scenes of {task.dataset.name}; "
            f"{task.rules.sequence_length - 1} looks after the glance."
        )
        paper, paper_last = _train_paper(self, console)
        paper.save(self.output / "paper_policy.safetensors")
        sb3 = _train_sb3(self, console)
        policies = {
            RANDOM: RandomPolicy(self.seed),
            "centre": CentrePolicy(),
            "centre, then corners": CentreCornerPolicy(),
            SB3: sb3,
            PAPER: paper,
            ORACLE: GreedyOracle(),
        }
        evaluations = _evaluate_all(policies, self.test_images, console)
        rows = comparison.compare(evaluations, random=RANDOM, oracle=ORACLE)
        title = f"{self.test_images:,} test scenes: accuracy after each look"
        on_train = evaluate(paper, split="train", num_images=self.test_images)
        console.print(comparison.table(rows, title))
        comparison.write_results(
            self.output / "results.json",
            rows,
            {
                "task": "cluttered-digits",
                "settings": {**asdict(self), "output": str(self.output)},
                "paper_updates": paper_last.number,
                "paper_seconds": paper_last.seconds,
                "sb3_steps": sb3.num_timesteps,
                "paper_mean_return_on_train": on_train.mean_return,
                "seconds": time.perf_counter() - began,
                "versions": versions(),
            },
        )
        plots.plot_accuracy(self.output / "accuracy.png", rows, title)
        shown = {name: evaluations[name] for name in (RANDOM, PAPER, ORACLE)}
        plots.draw_episodes(self.output / "episodes.png", make_task(split="test"), shown)
        console.print(f"Written to {self.output}: results.json, accuracy.png, episodes.png.")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )


def _train_paper(config: Demo, console: Console) -> tuple[PaperPolicy, Update]:
    settings = PaperPPOConfig(updates=10**6, max_seconds=config.train_seconds, seed=config.seed)
    updates: list[Update] = []
    smooth: dict[str, float] = {}
    with _progress(console) as progress:
        bar = progress.add_task(PAPER, total=config.train_seconds)

        def show(update: Update) -> None:
            updates.append(update)
            for name, value in update.metrics.items():
                smooth[name] = 0.95 * smooth.get(name, value) + 0.05 * value
            progress.update(
                bar,
                completed=update.seconds,
                description=f"{PAPER}: update {update.number}, train return "
                f"{smooth['charts/episodic_return']:.3f}, accuracy {smooth['charts/accuracy']:.3f}",
            )

        return train_paper(make_task(), settings, show), updates[-1]


def _train_sb3(config: Demo, console: Console) -> Any:
    with _progress(console) as progress:
        bar = progress.add_task(SB3, total=config.sb3_seconds)

        def show(update: Update) -> None:
            mean_return = update.metrics["charts/episodic_return"]
            description = f"{SB3}: {update.steps:,} steps, train return {mean_return:.3f}"
            progress.update(bar, completed=update.seconds, description=description)

        settings = SB3Config(
            total_timesteps=10**7,
            encoder="flat",  # as SB3 itself does
            max_seconds=config.sb3_seconds,
            seed=config.seed,
        )
        return train_sb3(settings, show)


def _evaluate_all(
    policies: dict[str, Any], num_images: int, console: Console
) -> dict[str, Evaluation]:
    evaluations: dict[str, Evaluation] = {}
    with _progress(console) as progress:
        bar = progress.add_task("evaluation", total=len(policies) * num_images)
        for name, policy in policies.items():
            before = len(evaluations) * num_images

            def show(done: int, _: int, name: str = name, before: int = before) -> None:
                progress.update(bar, completed=before + done, description=f"evaluation: {name}")

            evaluations[name] = evaluate(policy, num_images=num_images, progress=show)
    return evaluations
