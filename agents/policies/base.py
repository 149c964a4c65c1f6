"""The one interface of all policies: Stable-Baselines3's `predict` on batched observations.

An SB3 model is a policy as it is. Policies that may see labels have `choose_locations` instead;
they are upper bounds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.policy import Policy, PrivilegedPolicy

__all__ = [
    "Policy",
    "PrivilegedPolicy",
    "batch_size",
    "carried_memory",
    "count_steps",
    "recall_taken",
    "seen_by",
]


def batch_size(observation: Mapping[str, NDArray[Any]]) -> int:
    """Return how many episodes an observation is of.

    Raises:
        ValueError: the observation is of one environment, without a batch axis.
    """
    hidden_state = np.asarray(observation["hidden_state"])
    if hidden_state.ndim != 2:
        raise ValueError(
            "policies take batched observations: expected hidden_state of shape (n, H), got "
            f"{hidden_state.shape}; for one environment add an axis to every array, value[None]"
        )
    return len(hidden_state)


def count_steps(
    state: NDArray[np.int64] | None, episode_start: NDArray[np.bool_] | None, count: int
) -> NDArray[np.int64]:
    """Return how many actions each episode has had, for policies that remember only that.

    Args:
        state: what the policy returned last, (count,), or None.
        episode_start: (count,) bool, True where an episode is new; None where none is.
        count: number of episodes.
    """
    steps = np.zeros(count, np.int64) if state is None else np.asarray(state)
    return steps if episode_start is None else np.where(episode_start, 0, steps)


def recall_taken(
    state: NDArray[np.bool_] | None,
    episode_start: NDArray[np.bool_] | None,
    count: int,
    choices: int,
) -> NDArray[np.bool_]:
    """Return which choices each episode has taken, for policies that take none twice.

    Args:
        state: what the policy returned last, (count, choices), or None.
        episode_start: (count,) bool, True where an episode is new; None where none is.
        count: number of episodes.
        choices: k in all.

    Returns:
        (count, choices) bool, a copy; all False where an episode is new or has taken all.
    """
    if state is None:
        return np.zeros((count, choices), np.bool_)
    taken = np.asarray(state, np.bool_)
    clear = taken.all(axis=1, keepdims=True)
    if episode_start is not None:
        clear |= np.asarray(episode_start, np.bool_)[:, None]
    return taken & ~clear


def carried_memory(
    fresh: torch.Tensor, state: NDArray[Any] | None, episode_start: NDArray[np.bool_] | None
) -> torch.Tensor:
    """Return the memory of n episodes, for networks with a memory of their own.

    Args:
        fresh: (n, H), of new episodes, all zeros, on the network's device.
        state: (n, H), what the call before returned; None at first.
        episode_start: (n,) bool; those rows are cleared.
    """
    if state is None:
        return fresh
    keep = np.ones(len(fresh), np.bool_) if episode_start is None else ~episode_start
    return torch.from_numpy(np.asarray(state) * keep[:, None]).to(fresh)


def seen_by(
    observation: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
    observe: tuple[str, ...],
    device: torch.device,
) -> dict[str, torch.Tensor]:
    """Return what a policy sees of an observation, on the device.

    Args:
        observation: batched arrays by name.
        shapes: of what the policy was made for, by name and without the batch axis; what has no
            shape here is left out.
        observe: extra keys that the policy asks for, for the error.
        device: where the policy is.

    Raises:
        ValueError: something is missing or of another shape.
    """
    seen = {}
    for name, shape in shapes.items():
        if name not in observation:
            raise ValueError(
                f"this policy sees {name!r}, which is not among the observations "
                f"{sorted(observation)}; make the environment with observe={observe}"
            )
        array = np.asarray(observation[name])
        if array.shape[1:] != shape:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"this policy sees {name} of shape ({expected}), got {array.shape}")
        seen[name] = torch.from_numpy(array).to(device)
    return seen
