"""Stable-Baselines3's PPO on the bridge, with settings that suit four-step episodes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from agents.sb3 import GlanceFocusVecEnv


@dataclass(frozen=True)
class SB3PPOConfig:
    """The learner's settings.

    Attributes:
        total_timesteps: environment steps.
        num_envs: episodes at a time.
        n_steps: steps of each environment in a rollout.
        batch_size: of a gradient step.
        n_epochs: passes over a rollout.
        learning_rate: Adam's.
        gamma: discount.
        gae_lambda: of the advantage estimate.
        clip_range: of the ratio.
        log_std_init: logarithm of the Gaussian's first standard deviation, in units of the action.
        net_arch: hidden layers of policy and value.
        max_seconds: stop after the rollout in which this much time has passed.
        seed: of everything.
    """

    total_timesteps: int = 10**7
    num_envs: int = 256
    n_steps: int = 16
    batch_size: int = 1024
    n_epochs: int = 4
    learning_rate: float = 1e-3
    gamma: float = 0.7
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    log_std_init: float = -1.2
    net_arch: tuple[int, ...] = (256, 128)
    max_seconds: float = math.inf
    seed: int = 0


Report = Callable[[float, int, float], None]
"""Called after every rollout with seconds, environment steps and mean return of the newest
episodes."""


def train(config: SB3PPOConfig, report: Report | None = None) -> PPO:
    """Train PPO with `MultiInputPolicy` on the built-in task's train split.

    Args:
        config: settings.
        report: called after every rollout.

    Returns:
        The model, which is a `Policy` as it is.
    """
    env = VecMonitor(GlanceFocusVecEnv(config.num_envs))
    model = PPO(
        "MultiInputPolicy",
        env,
        learning_rate=config.learning_rate,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        policy_kwargs={"log_std_init": config.log_std_init, "net_arch": list(config.net_arch)},
        seed=config.seed,
        device="cpu",
        stats_window_size=1024,
    )
    return model.learn(config.total_timesteps, callback=_Clock(config.max_seconds, report))


class _Clock(BaseCallback):
    def __init__(self, max_seconds: float, report: Report | None) -> None:
        super().__init__()
        self._max_seconds = max_seconds
        self._report = report
        self._began = time.perf_counter()

    def _on_training_start(self) -> None:
        self._began = time.perf_counter()

    def _on_rollout_end(self) -> None:
        if self._report is not None and self.model.ep_info_buffer:
            returns = [episode["r"] for episode in self.model.ep_info_buffer]
            seconds = time.perf_counter() - self._began
            self._report(seconds, self.num_timesteps, sum(returns) / len(returns))

    def _on_step(self) -> bool:
        return time.perf_counter() - self._began < self._max_seconds
