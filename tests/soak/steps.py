"""Long runs of every id, as single environments, as vectors and through the bridge to SB3.

Memory and the time of a step have to stay flat: what the last quarter takes is compared with the
second one, as the first still fills caches. Time is that of the processor, as the machine may be
busy.
"""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

import gf_env  # noqa: F401  registers the ids
from agents.sb3 import GlanceFocusVecEnv
from gf_env.envs.registration import ENV_IDS
from tests.soak.outcome import Row, Say

MOST_BYTES, MOST_RATIO = 32 << 20, 1.5
"""That the last quarter may have beyond the second one; caches shared with others cost time."""
_NUM_ENVS, _WINDOWS = 256, 40
_LEAST_CALLS = 40


@dataclass(frozen=True)
class Run:
    """An environment that is stepped without end.

    Attributes:
        step: takes a step in all of its environments, and begins new episodes.
        num_envs: how many they are.
        close: the environment.
    """

    step: Callable[[], Any]
    num_envs: int
    close: Callable[[], Any]


def single(env_id: str, seed: int) -> Run:
    """Return a single environment."""
    env = gym.make(env_id, split="validation")
    env.action_space.seed(seed)
    env.reset(seed=seed)

    def step() -> None:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        if not np.isfinite(reward):
            raise ValueError(f"the reward was {reward}")
        if terminated or truncated:
            env.reset()

    return Run(step, 1, env.close)


def vector(env_id: str, seed: int) -> Run:
    """Return the native vector environment."""
    envs = gym.make_vec(env_id, num_envs=_NUM_ENVS, split="validation")
    envs.action_space.seed(seed)
    envs.reset(seed=seed)

    def step() -> None:
        _check(envs.step(envs.action_space.sample())[1])

    return Run(step, _NUM_ENVS, envs.close)


def bridge(env_id: str, seed: int) -> Run:
    """Return the environments that Stable-Baselines3 sees."""
    envs = GlanceFocusVecEnv(_NUM_ENVS, env_id, split="validation")
    envs.seed(seed)
    envs.action_space.seed(seed)
    envs.reset()

    def step() -> None:
        _check(envs.step(np.stack([envs.action_space.sample() for _ in range(_NUM_ENVS)]))[1])

    return Run(step, _NUM_ENVS, envs.close)


FORMS = {"single": single, "vector": vector, "bridge": bridge}


def step_long(seed: int, length: int, say: Say, ids: tuple[str, ...] = tuple(ENV_IDS)) -> list[Row]:
    """Step each id in each form; return a row of each.

    Args:
        seed: of actions and episodes.
        length: steps in each form, which the ids share.
        say: gets a line on each.
        ids: which ids.
    """
    share = -(-length // len(ids))
    return [_step(env_id, form, seed, share, say) for form in FORMS for env_id in ids]


def _step(env_id: str, form: str, seed: int, length: int, say: Say) -> Row:
    run = FORMS[form](env_id, seed)
    calls = max(_LEAST_CALLS, -(-length // run.num_envs))
    seconds, memory, faults = [], [], []
    try:
        for part in np.array_split(np.arange(calls), _WINDOWS):
            times = []
            for _ in part:
                began = time.process_time()
                run.step()
                times.append(time.process_time() - began)
            seconds.append(statistics.median(times))
            gc.collect()
            memory.append(psutil.Process().memory_info().rss)
    except Exception as error:  # whatever is wrong is a row's fault
        faults.append(f"{type(error).__name__}: {error}")
    finally:
        run.close()
    figures = {} if faults else _figures(seconds, memory, run.num_envs)
    if figures and figures["grown_bytes"] > MOST_BYTES:
        faults.append(f"memory grew by {figures['grown_bytes'] / 1e6:.0f} MB")
    if figures and figures["slower"] > MOST_RATIO:
        faults.append(f"a step took {figures['slower']:.2f} times as long at the end")
    say(f"{env_id}, {form}: {calls * run.num_envs:,} steps, {figures}, {faults or 'no faults'}")
    return Row(f"{env_id}, {form}", calls * run.num_envs, tuple(faults), figures)


def _figures(seconds: list[float], memory: list[int], num_envs: int) -> dict[str, float]:
    quarter = _WINDOWS // 4
    before, after = slice(quarter, 2 * quarter), slice(-quarter, None)
    slower = statistics.median(seconds[after]) / statistics.median(seconds[before])
    grown = statistics.median(memory[after]) - statistics.median(memory[before])
    return {
        "steps_per_second": round(num_envs / statistics.median(seconds)),
        "slower": round(slower, 3),
        "grown_bytes": int(grown),
        "megabytes": round(memory[-1] / 1e6),
    }


def _check(rewards: Any) -> None:
    if not np.isfinite(rewards).all():
        raise ValueError("some rewards were not finite")
