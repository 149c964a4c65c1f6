"""The bridge to Stable-Baselines3: our vector env as its `VecEnv`.

Stable-Baselines3 has no adapter for `gymnasium.vector` of its own.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from gf_env.envs.observations import Observation
from gf_env.envs.vector_env import GlanceFocusVectorEnv


class GlanceFocusVecEnv(VecEnv):
    """N episodes in one batch, for Stable-Baselines3's algorithms.

    In a `VecMonitor` it also gives the return and length of each episode (`ep_rew_mean` in SB3's
    table).

    Args:
        num_envs: N.
        env_id: one of `gf_env.envs.registration.ENV_IDS`.
        **kwargs: further arguments of `gf_env.envs.vector_env.GlanceFocusVectorEnv`.

    Raises:
        ValueError: an unknown or unfitting argument.
    """

    def __init__(self, num_envs: int, env_id: str = "GlanceFocus-v0", **kwargs: Any) -> None:
        made = gymnasium.make_vec(env_id, num_envs=num_envs, **kwargs)
        if not isinstance(made, GlanceFocusVectorEnv):
            raise ValueError(f"{env_id} is not one of this package's environments")
        self.vector_env = made
        self._actions: NDArray[Any] = np.empty(0)
        super().__init__(num_envs, made.single_observation_space, made.single_action_space)

    def reset(self) -> Observation:
        """Start new episodes, with the seeds and options set before; return the observation."""
        options: dict[str, Any] = {}
        if any(self._options):
            options["index"] = [chosen.get("index") for chosen in self._options]
        observation, infos = self.vector_env.reset(seed=self._seeds, options=options)
        self.reset_infos = _split(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions, (N, 2) or (N,), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step.

        Returns:
            The observation, in ended environments already of the next episode; rewards (N,)
            float32; dones (N,) bool; and N infos. At an end the info also has
            `terminal_observation`, `TimeLimit.truncated` and `is_success`; the next episode's info
            is in `reset_infos`.
        """
        observation, rewards, terminated, _, infos = self.vector_env.step(self._actions)
        ended = np.flatnonzero(terminated)
        stepped = _split(infos, self.num_envs)
        if len(ended):
            final = _split(infos["final_info"], self.num_envs)
            for row in ended:
                self.reset_infos[row] = stepped[row]
                stepped[row] = {
                    **final[row],
                    "terminal_observation": infos["final_obs"][row],
                    "TimeLimit.truncated": False,
                }
        return observation, rewards.astype(np.float32), terminated, stepped

    def close(self) -> None:
        """Release the environment."""
        self.vector_env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return a picture of each episode."""
        frames = self.vector_env.render()
        return [None] * self.num_envs if frames is None else frames

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the vector env, which all N share, once for each index."""
        value = getattr(self.vector_env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Raise NotImplementedError: the N environments are one object."""
        raise NotImplementedError(
            f"cannot set {attr_name!r} in some of the environments: they are one batch. "
            "Make the VecEnv with other arguments instead."
        )

    def env_method(self, method_name: str, *method_args: Any, **method_kwargs: Any) -> list[Any]:
        """Raise NotImplementedError: the N environments are one object."""
        raise NotImplementedError(
            f"cannot call {method_name!r} on single environments: they are one batch. "
            "Use the `vector_env` attribute instead."
        )

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each index: nothing wraps a single environment."""
        return [False for _ in self._get_indices(indices)]


def _split(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Turn Gymnasium's dict of arrays with masks into one dict of plain values an environment."""
    columns = {
        key: (value.tolist() if value.ndim == 1 else list(value), infos[f"_{key}"])
        for key, value in infos.items()
        if f"_{key}" in infos and isinstance(value, np.ndarray) and value.dtype != object
    }
    return [
        {key: values[row] for key, (values, mask) in columns.items() if mask[row]}
        for row in range(count)
    ]
