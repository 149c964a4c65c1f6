"""Train one of Stable-Baselines3's algorithms and evaluate it on test scenes."""

import argparse
from pathlib import Path

import gf_env
from agents.learners.base import Update
from agents.sb3.learners import ALGORITHMS, SB3Config, train
from agents.sb3.saved_models import load_sb3

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--algorithm", default="PPO", choices=list(ALGORITHMS))
parser.add_argument("--steps", type=int, default=200_000, help="environment steps")
parser.add_argument("--num-envs", type=int, default=256, help="episodes in a batch")
parser.add_argument("--test-images", type=int, default=2000, help="test scenes")
parser.add_argument("--output", type=Path, default=Path("runs/sb3_model.zip"), help="of the model")
arguments = parser.parse_args()


def show(update: Update) -> None:
    """Print a line."""
    accuracy = update.metrics["charts/accuracy"]
    print(f"{update.steps:,} steps, {update.seconds:.0f} s: accuracy {accuracy:.3f}")


config = SB3Config(arguments.algorithm, arguments.steps, arguments.num_envs)
model = train(config, show, split="train")
arguments.output.parent.mkdir(parents=True, exist_ok=True)
model.save(arguments.output)

grid_size = 7 if arguments.algorithm == "DQN" else None  # DQN chooses patches of a grid
result = gf_env.evaluate(
    load_sb3(arguments.output), split="test", num_images=arguments.test_images, grid_size=grid_size
)
print("accuracy after each look:", result.accuracy.round(3).tolist())
print("mean return:", round(result.mean_return, 3))
