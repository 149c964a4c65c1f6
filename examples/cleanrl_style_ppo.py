"""PPO in one file, in the style of CleanRL: a Dict observation and the native vector env."""

import argparse

import gymnasium as gym
import torch
from torch import nn
from torch.distributions import Normal

import gf_env  # noqa: F401 - registers the environments

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--total-timesteps", type=int, default=400_000)
parser.add_argument("--num-scenes", type=int, default=20_000, help="their bank has 2.6 GB")
parser.add_argument("--num-envs", type=int, default=256)
parser.add_argument("--num-steps", type=int, default=16, help="steps between two updates")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
gamma, gae_lambda, clip_range, vf_coef, max_grad_norm = 0.7, 0.95, 0.2, 0.5, 0.5

torch.manual_seed(args.seed)
bank = {"lattice_stride": 12, "feature_bank": True}  # looks go to the nearest of 7 x 7 patches
scenes = {"split": "train", "num_scenes": args.num_scenes}
envs = gym.make_vec("GlanceFocus-v0", num_envs=args.num_envs, **scenes, **bank)


def mlp(outputs: int) -> nn.Sequential:
    """Return a network on the newest look's feature map and the classifier's state."""
    size = gym.spaces.flatdim(envs.single_observation_space)
    layers = nn.Linear(size, 256), nn.Tanh(), nn.Linear(256, 128), nn.Tanh()
    return nn.Sequential(*layers, nn.Linear(128, outputs))


def flat(observation: dict) -> torch.Tensor:
    """Return a Dict of batches as one, (num_envs, size) float32."""
    return torch.cat([torch.as_tensor(part).flatten(1) for part in observation.values()], dim=1)


def evaluate(seen: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of actions (n, 2), and values; each (n,)."""
    return Normal(actor(seen), log_std.exp()).log_prob(actions).sum(1), critic(seen)[:, 0]


actor, critic, log_std = mlp(2), mlp(1), nn.Parameter(torch.full((2,), -1.0))
parameters = [*actor.parameters(), *critic.parameters(), log_std]
optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-5)
seen = flat(envs.reset(seed=args.seed)[0])
for update in range(1, args.total_timesteps // (args.num_envs * args.num_steps) + 1):
    rollout = []
    for _ in range(args.num_steps):
        with torch.no_grad():
            action = Normal(actor(seen), log_std.exp()).sample()
            log_prob, value = evaluate(seen, action)
        observation, reward, terminated, _, _ = envs.step(action.numpy())
        reward, goes_on = torch.tensor(reward).float(), torch.tensor(~terminated)
        rollout.append((seen, action, log_prob, value, reward, goes_on))
        seen = flat(observation)  # a new glance where an episode has ended; none is truncated
    with torch.no_grad():
        next_value, advantage = critic(seen)[:, 0], torch.zeros(args.num_envs)
    advantages = []
    for *_, value, reward, goes_on in reversed(rollout):
        delta = reward + gamma * goes_on * next_value - value
        advantage, next_value = delta + gamma * gae_lambda * goes_on * advantage, value
        advantages.insert(0, advantage)
    batch = [torch.cat(parts) for parts in zip(*rollout, strict=True)]
    old, advantages = batch[2], torch.cat(advantages)
    returns = advantages + batch[3]
    for rows in [rows for _ in range(4) for rows in torch.randperm(len(old)).chunk(4)]:
        log_prob, value = evaluate(batch[0][rows], batch[1][rows])
        ratio, gain = (log_prob - old[rows]).exp(), advantages[rows]
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        surrogate = torch.min(ratio * gain, ratio.clamp(1 - clip_range, 1 + clip_range) * gain)
        loss = vf_coef * (value - returns[rows]).square().mean() - surrogate.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        optimizer.step()
    episodic_return = batch[4].sum() / (~batch[5]).sum()
    print(f"{update * len(old):,} steps: episodic return {episodic_return:.3f}")
