"""Make the environment, look around at random, and see what each look was worth."""

import gymnasium as gym

import gf_env  # noqa: F401 - registers the environments

env = gym.make("GlanceFocus-v0", split="test")
env.action_space.seed(0)
observation, info = env.reset(seed=0)
print(f"scene {info['index']} shows a {info['label']}")
print(f"glance: predicts {info['prediction']}, confidence {info['confidence']:.2f}")
terminated = False
while not terminated:
    action = env.action_space.sample()  # (row, col) in [-1, 1]
    observation, reward, terminated, truncated, info = env.step(action)
    top, left, *_ = info["patch"]
    print(
        f"look {info['step']} at row {top}, column {left}: predicts {info['prediction']}, "
        f"confidence {info['confidence']:.2f}, reward {reward:+.2f}"
    )
print("success" if info["is_success"] else "failure")
