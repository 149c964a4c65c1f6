"""Write a learner of your own: here, policy gradient with a batch's mean return as baseline.

The benchmark takes it by name, in a suite such as examples/own_suite.toml:
gf-env benchmark examples/own_suite.toml
"""

import argparse
import time

import numpy as np
import torch

import gf_env
from agents import Update


class SeesFeatures:
    """A `Policy` around a network from the newest feature map to the patches of a grid."""

    def __init__(self, network: torch.nn.Module, seed: int) -> None:
        self.network = network
        self.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """Return grid indices (n,) int64 and no memory."""
        logits = self.network(torch.from_numpy(observation["features"]))
        if deterministic:
            return logits.argmax(1).numpy(), None
        drawn = torch.multinomial(logits.softmax(1), 1, generator=self.generator)
        return drawn[:, 0].numpy(), None


def train(task, seed=0, on_update=None, updates=200, num_envs=256, learning_rate=1e-3):
    """Train on a task with grid actions.

    Args:
        task: a `gf_env.envs.task.Task`; states and actions stay tensors.
        seed: the benchmark's.
        on_update: tells the benchmark how far training is.
        updates: batches of episodes.
        num_envs: episodes in a batch.
        learning_rate: Adam's.

    Returns:
        A policy.
    """
    began = time.perf_counter()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs = int(np.prod(task.observation_space["features"].shape))
    network = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(inputs, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, task.actions.space.n),
    )
    optimiser = torch.optim.Adam(network.parameters(), learning_rate)
    for number in range(1, updates + 1):
        state = task.start(rng.choice(len(task.dataset), num_envs, replace=False))
        log_probs, rewards = [], []
        for _ in range(task.rules.sequence_length - 1):
            choice = torch.distributions.Categorical(logits=network(state.features))
            patches = choice.sample()
            state, reward, _ = task.step(state, task.actions.look(patches))
            log_probs.append(choice.log_prob(patches))
            rewards.append(reward)
        earned = torch.stack(rewards)  # (looks, n)
        to_come = earned.flip(0).cumsum(0).flip(0)
        loss = -(torch.stack(log_probs) * (to_come - to_come.mean(1, keepdim=True))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if on_update is not None:
            steps, seconds = number * earned.numel(), time.perf_counter() - began
            metrics = {
                "charts/episodic_return": earned.sum(0).mean().item(),
                "charts/accuracy": gf_env.readout(state).correct.float().mean().item(),
            }
            on_update(Update(number, steps, seconds, metrics))
    return SeesFeatures(network, seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--test-images", type=int, default=2000)
    arguments = parser.parse_args()
    policy = train(gf_env.make_task(grid_size=7), updates=arguments.updates)
    result = gf_env.evaluate(policy, grid_size=7, num_images=arguments.test_images)
    print(f"accuracy after each look: {result.accuracy.round(3).tolist()}")
