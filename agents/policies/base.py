"""The one interface of all policies: Stable-Baselines3's `predict` on batched observations.

An SB3 model is a policy as it is. Policies that may see labels have `choose_looks` instead;
they are upper bounds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gf_env.policy import Policy, PrivilegedPolicy

__all__ = ["Policy", "PrivilegedPolicy", "batch_size", "recall_taken"]


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
