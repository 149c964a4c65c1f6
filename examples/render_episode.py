"""Draw an episode look by look as PNG files."""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import gf_env  # noqa: F401 - registers the environments
from agents import CentreCornerPolicy

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--index", type=int, default=0, help="which test scene")
parser.add_argument("--output", type=Path, default=Path("runs/episode"))
arguments = parser.parse_args()

env = gym.make("GlanceFocus-v0", split="test", render_mode="rgb_array")
policy, memory = CentreCornerPolicy(), None
observation, _ = env.reset(options={"index": arguments.index})
arguments.output.mkdir(parents=True, exist_ok=True)
terminated, look = False, 1
Image.fromarray(env.render()).save(arguments.output / f"look-{look}.png")
while not terminated:
    batch = {key: value[None] for key, value in observation.items()}  # policies take batches
    actions, memory = policy.predict(batch, memory, np.array([look == 1]))
    observation, _, terminated, _, _ = env.step(actions[0])
    look += 1
    Image.fromarray(env.render()).save(arguments.output / f"look-{look}.png")
print(f"{look} pictures in {arguments.output}")
