"""Train the paper's policy, evaluate it on test scenes, and save it."""

import argparse

import gf_env
from agents import PaperPolicy
from agents.learners.base import Update
from agents.learners.paper_ppo import PaperPPOConfig, train
from gf_env.envs.make_task import make_task

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--updates", type=int, default=500, help="gradient steps of a batch each")
parser.add_argument("--num-envs", type=int, default=256, help="episodes in a batch")
parser.add_argument("--test-images", type=int, default=2000, help="test scenes")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--output", default="runs/paper_policy.safetensors")
arguments = parser.parse_args()


def show(update: Update) -> None:
    """Print a line now and then."""
    if update.number % 25 == 0:
        print(
            f"update {update.number}: return {update.metrics['charts/episodic_return']:.3f}, "
            f"accuracy {update.metrics['charts/accuracy']:.3f}, {update.seconds:.0f} s"
        )


config = PaperPPOConfig(updates=arguments.updates, num_envs=arguments.num_envs, seed=arguments.seed)
policy = train(make_task(split="train"), config, show)
policy.save(arguments.output)

result = gf_env.evaluate(
    PaperPolicy.load(arguments.output), split="test", num_images=arguments.test_images
)
print("accuracy after each look:", result.accuracy.round(3).tolist())
print("mean return:", round(result.mean_return, 3))
