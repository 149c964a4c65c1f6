"""What is compared: from the network alone, which nothing can beat, to whole updates of learners.

A turn is one episode of every environment, or one update of a learner.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agents.learners.paper_ppo import PaperLearner, PaperPPOConfig
from agents.sb3 import GlanceFocusVecEnv, learners
from gf_env.envs.actions import Look
from gf_env.envs.make_task import TaskArguments
from gf_env.envs.task import Task
from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.encoders.batching import encode
from performance.settings import Materials, NotMeasuredError

ENV_ID = "GlanceFocus-v0"
ENDLESS = 10_000_000
"""Scenes in a split that no training comes to the end of."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Turn:
    """What is timed.

    Attributes:
        run: does it.
        env_steps: steps of environments in it.
        close: releases what it needed.
    """

    run: Callable[[], object]
    env_steps: int
    close: Callable[[], object] = _nothing


@dataclass(frozen=True)
class Contender:
    """One way to get environment steps.

    Attributes:
        name: in tables and files.
        prepare: does all that is not timed; raises NotMeasuredError where it cannot compete.
    """

    name: str
    prepare: Callable[[Materials], Turn]

    def endless(self) -> Contender:
        """Return the same on scenes that are made as they are needed."""
        return Contender(
            f"{self.name}, endless split",
            lambda materials: self.prepare(materials.changed(num_scenes=ENDLESS)),
        )

    def faster(self, *, precision: str = "float32", compiled: bool = False) -> Contender:
        """Return the same with faster encoders; see `gf_env.network.accelerated`."""
        words = [self.name]
        words += [precision] if precision != "float32" else []
        words += ["compiled"] if compiled else []
        return Contender(
            ", ".join(words),
            lambda materials: self.prepare(
                materials.changed(precision=precision, compiled=compiled)
            ),
        )


def bare_network(materials: Materials) -> Turn:
    """Encoders and classifier on batches that are ready, never compiled: the limit."""
    setting, network, looks = materials.setting, materials.task.network, _looks(materials.task)
    images = materials.task.dataset.images(materials.indices(setting.num_envs)).to(setting.device)
    patches = network.patches(images, _locations(materials, 1)[0])
    small = network.small(images)
    autocast = torch.autocast(
        torch.device(setting.device).type, torch.bfloat16, enabled=setting.precision == "bfloat16"
    )

    def see(encoder: Encoder, batch: torch.Tensor) -> Encoding:
        with autocast:
            encoding = encode(encoder, batch)
        return Encoding(*(value.float() for value in encoding))

    @torch.inference_mode()
    def episode() -> None:
        hidden = network.first_glimpse(see(network.global_encoder, small)).hidden
        for _ in range(looks):
            hidden = network.next_glimpse(see(network.local_encoder, patches), hidden).hidden

    return Turn(episode, setting.num_envs * looks)


def core(materials: Materials) -> Turn:
    """The rules of an episode on tensors: new images, pixels to patches, rewards."""
    return _core(materials, materials.task)


def core_on_bank(materials: Materials) -> Turn:
    """The same on a feature bank."""
    return _core(materials, materials.bank_task)


def _core(materials: Materials, task: Task) -> Turn:
    count = materials.setting.num_envs
    locations = _locations(materials, _looks(task))
    drawn = _random_indices(materials)

    @torch.inference_mode()  # as the environments do, and whoever only collects can
    def episode() -> None:
        state = task.start(next(drawn))
        for each in locations:
            state, _, _ = task.step(state, Look(each))

    return Turn(episode, count * len(locations))


def vector_env(materials: Materials) -> Turn:
    """The native vector environment: NumPy in and out, all observations and infos."""
    return _vector_env(materials, materials.arguments)


def vector_env_on_bank(materials: Materials) -> Turn:
    """The same on a feature bank."""
    return _vector_env(materials, materials.bank_arguments)


def sync_vector_env(materials: Materials) -> Turn:
    """Gymnasium's loop over single environments."""
    modes = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return _vector_env(
        materials, materials.arguments, vectorization_mode="sync", vector_kwargs=modes
    )


def async_vector_env(materials: Materials) -> Turn:
    """Gymnasium's worker processes, a single environment and a thread each."""
    # forked workers would hang in PyTorch, whose threads they do not have
    modes = {"autoreset_mode": AutoresetMode.SAME_STEP, "context": "spawn"}
    with _one_thread_in_new_processes():
        return _vector_env(
            materials, materials.arguments, vectorization_mode="async", vector_kwargs=modes
        )


def _vector_env(materials: Materials, arguments: TaskArguments, **how: Any) -> Turn:
    env: Any = gym.make_vec(ENV_ID, num_envs=materials.setting.num_envs, **how, **arguments)
    env.reset(seed=0)
    return _episode_of(env, env, _looks(materials.task))


def sb3_bridge(materials: Materials) -> Turn:
    """The vector environment as Stable-Baselines3 sees it."""
    env = GlanceFocusVecEnv(materials.setting.num_envs, **materials.arguments)
    env.seed(0)
    env.reset()
    return _episode_of(env, env.vector_env, _looks(materials.task))


def _episode_of(env: Any, vector_env: Any, looks: int) -> Turn:
    """Return a turn of `env` with actions that are drawn before from the space of `vector_env`."""
    space = vector_env.action_space
    space.seed(0)
    actions = [space.sample() for _ in range(looks)]

    def episode() -> None:
        for each in actions:
            env.step(each)

    return Turn(episode, vector_env.num_envs * looks, env.close)


def paper_update(materials: Materials) -> Turn:
    """A batch of episodes and the gradient step on it, of the paper's learner."""
    return _paper_update(materials, materials.task)


def paper_update_on_bank(materials: Materials) -> Turn:
    """The same on a feature bank."""
    return _paper_update(materials, materials.bank_task)


def _paper_update(materials: Materials, task: Task) -> Turn:
    config = PaperPPOConfig(epochs=10**6, num_envs=materials.setting.num_envs)
    learner = PaperLearner(task, config)
    updates = itertools.chain.from_iterable(map(learner.updates, itertools.count()))
    return Turn(lambda: next(updates), learner.samples_per_step)


def sb3_update(materials: Materials) -> Turn:
    """A rollout and the epochs on it, of Stable-Baselines3's PPO."""
    setting = materials.setting
    if not setting.builtin or setting.device != "cpu":
        raise NotMeasuredError("agents.sb3.learners learns the built-in task on the CPU")
    count, defaults = setting.num_envs, learners.DEFAULTS["PPO"]
    rollout = count * defaults["n_steps"]
    batch_size = {"batch_size": min(defaults["batch_size"], rollout)}
    config = learners.SB3Config(total_timesteps=rollout, num_envs=count, settings=batch_size)
    model = learners.train(config)  # its first update; those after it are timed
    return Turn(lambda: model.learn(rollout, reset_num_timesteps=False), rollout)


BARE_NETWORK = Contender("bare network", bare_network)
CORE = Contender("core", core)
CORE_ON_BANK = Contender("core, bank", core_on_bank)
VECTOR_ENV = Contender("vector env", vector_env)
VECTOR_ENV_ON_BANK = Contender("vector env, bank", vector_env_on_bank)
SYNC = Contender("SyncVectorEnv", sync_vector_env)
ASYNC = Contender("AsyncVectorEnv", async_vector_env)
SB3_BRIDGE = Contender("SB3 bridge", sb3_bridge)
PAPER_UPDATE = Contender("paper PPO update", paper_update)
PAPER_UPDATE_ON_BANK = Contender("paper PPO update, bank", paper_update_on_bank)
SB3_UPDATE = Contender("SB3 PPO update", sb3_update)


def _looks(task: Task) -> int:
    """Steps of an episode, without the glance."""
    return task.rules.sequence_length - 1


def _locations(materials: Materials, looks: int) -> torch.Tensor:
    """Return where to look, (looks, n, 2) in [0, 1], the same at every call."""
    setting = materials.setting
    generator = torch.Generator().manual_seed(0)
    return torch.rand(looks, setting.num_envs, 2, generator=generator).to(setting.device)


def _random_indices(materials: Materials) -> Iterator[NDArray[np.int64]]:
    """Yield images for new episodes, others each time."""
    count = materials.setting.num_envs
    batches = max(16, 16_384 // count)  # enough to leave no image in a cache
    return itertools.cycle(materials.indices(batches * count).reshape(batches, count))


@contextlib.contextmanager
def _one_thread_in_new_processes() -> Iterator[None]:
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
