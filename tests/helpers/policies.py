"""Policies that show how they are called."""

import numpy as np

from gf_env.policy import ChoiceCost


class Recorder:
    """Keeps its calls, as (observation, state, episode_start, deterministic).

    Args:
        actions: what it always answers; (0, 0) for each episode by default.
        state: the state that it returns.
    """

    def __init__(self, actions=None, state=None):
        self.calls = []
        self._actions, self._state = actions, state

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((observation, state, episode_start, deterministic))
        count = len(observation["features"])
        actions = np.zeros((count, 2), np.float32) if self._actions is None else self._actions
        return actions, self._state


class LastPatch:
    """Always the last patch of a 3 x 3 grid, which it does not say that it has."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.full(len(observation["features"]), 8), None


class StopsEarly:
    """Looks at the centre; of five episodes one stops after each of the first four looks."""

    stop = True
    multiply_adds = ChoiceCost(first=1000, later=100, stop=10)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        step = 1 if state is None else state + 1
        count = len(observation["features"])
        stop = step > np.arange(count) % 5
        actions = np.stack([np.zeros(count), np.zeros(count), np.where(stop, 1, -1)], axis=1)
        return actions.astype(np.float32), step
