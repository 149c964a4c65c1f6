"""Train Stable-Baselines3's PPO through the bridge and evaluate it on test scenes."""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import gf_env
from agents.sb3 import GlanceFocusVecEnv

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200_000, help="environment steps")
parser.add_argument("--num-envs", type=int, default=256, help="episodes in a batch")
parser.add_argument("--test-images", type=int, default=2000, help="test scenes")
arguments = parser.parse_args()

env = VecMonitor(GlanceFocusVecEnv(arguments.num_envs, split="train"))
model = PPO(
    "MultiInputPolicy",
    env,
    n_steps=16,
    batch_size=1024,
    n_epochs=4,
    learning_rate=1e-3,
    gamma=0.7,
    policy_kwargs={"log_std_init": -1.2, "net_arch": [256, 128]},
    seed=0,
    verbose=1,
)
model.learn(arguments.steps)
result = gf_env.evaluate(model, split="test", num_images=arguments.test_images)
print("accuracy after each look:", result.accuracy.round(3).tolist())
print("mean return:", round(result.mean_return, 3))
