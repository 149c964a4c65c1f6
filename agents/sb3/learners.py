"""Stable-Baselines3's algorithms on the bridge, with settings that suit four-step episodes.

One configuration and one `train` for all of them; what comes back is a plain SB3 model, which is a
`Policy` as it is.
"""

import inspect
import math
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import VecMonitor
from typing_extensions import Unpack

from agents.learners.base import OnUpdate, Update
from agents.learners.resumable import Weights
from agents.learners.supervisor import Supervisor
from agents.policies.recurrent_network import check_sees
from agents.sb3.features import GlanceFocusExtractor
from agents.sb3.vec_env import GlanceFocusVecEnv
from gf_env.configuration import configuration
from gf_env.envs.make_task import TaskArguments
from gf_env.envs.observations import EXTRA_OBSERVATIONS

ALGORITHMS: Mapping[str, type[BaseAlgorithm]] = {
    each.__name__: each for each in (PPO, A2C, SAC, TD3, DQN, RecurrentPPO)
}
ALGORITHM_KEY = "gf_env_algorithm"
"""Attribute of trained models, and key in their files: the algorithm's name in `ALGORITHMS`."""
LOCATIONS_ONLY, GRID_ONLY = ("SAC", "TD3"), ("DQN",)
"""Algorithms that take one kind of action; the others take either."""
_ON_POLICY = {
    "gamma": 0.7,
    "gae_lambda": 0.95,
    "learning_rate": 1e-3,
    "policy_kwargs": {"log_std_init": -1.2, "net_arch": [256, 128]},
}
_PPO = {**_ON_POLICY, "n_steps": 16, "batch_size": 1024, "n_epochs": 4, "clip_range": 0.2}
_OFF_POLICY = {
    "gamma": 0.7,
    "learning_rate": 1e-3,
    "buffer_size": 40_000,  # steps with two observations each, 10 kB on the built-in task
    "learning_starts": 2048,
    "batch_size": 256,
    "train_freq": 1,
    "gradient_steps": 16,
    "tau": 0.02,
    "policy_kwargs": {"net_arch": [128, 128]},
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "PPO": _PPO,
    "A2C": {**_ON_POLICY, "n_steps": 4},
    # rewards are small: SB3's entropy coefficient of 1 would drown them at first
    "SAC": {**_OFF_POLICY, "ent_coef": "auto_0.02"},
    "TD3": _OFF_POLICY,
    "DQN": {
        **_OFF_POLICY,
        "tau": 1.0,  # a hard copy
        "target_update_interval": 2048,
        "policy_kwargs": {"net_arch": [256, 128]},
    },
    "RecurrentPPO": {
        **_PPO,
        "n_steps": 8,
        "batch_size": 512,
        "policy_kwargs": {"log_std_init": -1.2, "net_arch": [128], "lstm_hidden_size": 128},
    },
}
"""Arguments of each algorithm's constructor, over SB3's own defaults; TD3 also gets noise of
`_TD3_STD` on its actions."""
_TD3_STD = 0.6
_OURS = ("policy", "env", "seed")
_REPORT_STEPS = 4096


@configuration
class SB3Config:
    """The learner's settings."""

    algorithm: str = "PPO"
    """A name in `ALGORITHMS`."""
    total_timesteps: PositiveInt = 200_000
    """Environment steps; DQN's exploration ends after a part of them."""
    num_envs: PositiveInt = 256
    """Episodes at a time."""
    sees: tuple[str, ...] = ("features", "hidden_state")
    """Observations that the policy gets, out of `agents.policies.recurrent_network.SEES`."""
    encoder: Literal["conv", "flat"] = "conv"
    """Of feature maps, see `agents.sb3.features.GlanceFocusExtractor`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the algorithm's constructor, over those in `DEFAULTS`; `policy_kwargs`
    are merged likewise."""
    max_seconds: PositiveFloat = math.inf
    """Stop after the step in which this much time has passed and an episode has ended."""
    seed: NonNegativeInt = 0
    """Of weights, images, actions and minibatches."""

    def __post_init__(self) -> None:
        """Check names against their tables."""
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {list(ALGORITHMS)}, got {self.algorithm!r}")
        check_sees(self.sees)
        parameters = inspect.signature(ALGORITHMS[self.algorithm]).parameters
        known = [name for name in parameters if name not in _OURS and not name.startswith("_")]
        unknown = [name for name in self.settings if name not in known]
        if unknown:
            raise ValueError(
                f"settings has {unknown}, which {self.algorithm} does not take from there; "
                f"choose from {known}"
            )


def train(
    config: SB3Config,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
    **task_arguments: Unpack[TaskArguments],
) -> BaseAlgorithm:
    """Train one of SB3's algorithms.

    Its trainings cannot be resumed: what SB3 saves of one has neither its environments' episodes
    nor the states of its generators. So a checkpoint that a supervisor asks for is not written.
    SB3 seeds the global generators of Python, NumPy and torch; they are put back afterwards, but
    for those of GPUs.

    Args:
        config: settings.
        on_update: called after every rollout, or off-policy after about every 4,096 steps, and at
            the end.
        supervisor: validates after such reports, keeps the best model and ends the training.
        **task_arguments: what to train on, see `gf_env.envs.make_task.TaskArguments`; `grid_size`
            means grid actions, which DQN has anyway, 7 x 7 by default.

    Returns:
        The model. `save` it, and `load_sb3` loads it.

    Raises:
        ValueError: unknown or unfitting arguments.
    """
    env = VecMonitor(_make_env(config, task_arguments), info_keywords=("step",))
    algorithm = ALGORITHMS[config.algorithm]
    with _global_generators_kept():
        model = algorithm(
            "MultiInputLstmPolicy" if algorithm is RecurrentPPO else "MultiInputPolicy",
            env,
            seed=config.seed,
            **_settings(config, task_arguments, env.action_space),
        )
        setattr(model, ALGORITHM_KEY, config.algorithm)  # SB3 saves a model's plain attributes
        off_policy = isinstance(model, OffPolicyAlgorithm)
        every = _REPORT_STEPS if off_policy else 1
        model.learn(
            config.total_timesteps,
            _Reporter(config, on_update, supervisor, every),
            # SB3 counts episodes, which are of about four steps, or rollouts
            log_interval=_REPORT_STEPS // 4 if off_policy else 1,
        )
        if supervisor is not None:
            supervisor.keep_best(_Validated(model))
        return model


def _make_env(config: SB3Config, arguments: TaskArguments) -> GlanceFocusVecEnv:
    name = config.algorithm
    if "observe" in arguments:
        raise ValueError("observe follows from what the policy sees; say so in the config's `sees`")
    given: dict[str, Any] = dict(arguments)
    if given.get("grid_size") is None:
        given.pop("grid_size", None)  # else it would undo the grid id's own
    grid = "grid_size" in given or name in GRID_ONLY
    if grid and name in LOCATIONS_ONLY:
        others = [each for each in ALGORITHMS if each not in LOCATIONS_ONLY]
        raise ValueError(
            f"{name} has continuous actions only; leave out grid_size or choose one of {others}"
        )
    if name in GRID_ONLY and given.get("lattice_stride") is not None:
        raise ValueError(f"{name} has grid actions only; say grid_size instead of lattice_stride")
    observe = tuple(key for key in config.sees if key in EXTRA_OBSERVATIONS)
    env_id = "GlanceFocusGrid-v0" if grid else "GlanceFocus-v0"
    return GlanceFocusVecEnv(config.num_envs, env_id, observe=observe, **given)


def _settings(
    config: SB3Config, arguments: TaskArguments, actions: spaces.Space[Any]
) -> dict[str, Any]:
    defaults = DEFAULTS[config.algorithm]
    if config.algorithm == "TD3":
        assert actions.shape is not None
        noise = NormalActionNoise(np.zeros(actions.shape), np.full(actions.shape, _TD3_STD))
        defaults = {"action_noise": noise, **defaults}
    policy = {
        "features_extractor_class": GlanceFocusExtractor,
        "features_extractor_kwargs": {"sees": config.sees, "encoder": config.encoder},
        **defaults["policy_kwargs"],
        **(config.settings.get("policy_kwargs") or {}),
    }
    return {
        "device": arguments.get("device", "cpu"),
        "stats_window_size": _REPORT_STEPS // 4,
        **defaults,
        **config.settings,
        "policy_kwargs": policy,
    }


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - SB3 uses it
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


class _Validated:
    """A model as supervisors know learners; see `agents.learners.resumable.Validated`."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self._model = model

    def policy(self) -> BaseAlgorithm:
        return self._model

    def weights(self) -> Weights:
        state = self._model.policy.state_dict()
        return {name: value.clone() for name, value in state.items()}

    def load_weights(self, weights: Weights) -> None:
        self._model.policy.load_state_dict(weights)


class _Reporter(BaseCallback):
    """Stops by the clock or at a plateau; reports after rollouts, and at the end.

    Args:
        config: settings.
        on_update: is told.
        supervisor: looks at the model after every report; None: nobody does.
        every: new steps at least, between two reports.
    """

    def __init__(
        self,
        config: SB3Config,
        on_update: OnUpdate | None,
        supervisor: Supervisor | None,
        every: int,
    ) -> None:
        super().__init__()
        self._config, self._on_update, self._supervisor = config, on_update, supervisor
        self._every = every
        self._began = time.perf_counter()
        self._number = self._reported = 0
        self._is_over = False

    def _on_step(self) -> bool:
        # the first episodes are always reported
        in_time = self._seconds() < self._config.max_seconds or not self.model.ep_info_buffer
        return in_time and not self._is_over

    def _seconds(self) -> float:
        beside = 0.0 if self._supervisor is None else self._supervisor.seconds_beside
        return time.perf_counter() - self._began - beside

    def _on_rollout_end(self) -> None:
        self._report(self._every)

    def _on_training_end(self) -> None:
        self._report(1)

    def _report(self, every: int) -> None:
        due = self.num_timesteps - self._reported >= every
        if not due or not self.model.ep_info_buffer:
            return
        self._number += 1
        self._reported = self.num_timesteps
        seconds = self._seconds()
        metrics = {
            "charts/episodic_return": safe_mean([each["r"] for each in self.model.ep_info_buffer]),
            "charts/accuracy": safe_mean(self.model.ep_success_buffer or []),
            "charts/looks": safe_mean([each["step"] for each in self.model.ep_info_buffer]),
            "charts/SPS": self.num_timesteps / seconds,
        }
        update = Update(self._number, self.num_timesteps, seconds, metrics)
        if self._on_update is not None:
            self._on_update(update)
        if self._supervisor is not None:
            share = min(1.0, self.num_timesteps / self._config.total_timesteps)
            self._is_over = self._supervisor.is_over(_Validated(self.model), update, share)
