"""Policies that go wrong, for tests of the benchmark: `tests.helpers.odd_policies:Name`."""

import os
import time

import numpy as np


class Sideways:
    """Fine: looks at the same place."""

    def __init__(self, seed):
        self._action = np.full(2, seed / 10, np.float32)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.tile(self._action, (len(observation["hidden_state"]), 1)), None


class WrongShape(Sideways):
    def predict(self, *arguments, **words):
        actions, state = super().predict(*arguments, **words)
        return actions[:, :1], state


class NotANumber(Sideways):
    def predict(self, *arguments, **words):
        actions, state = super().predict(*arguments, **words)
        return actions * np.nan, state


class OutsideTheGrid(Sideways):
    def predict(self, *arguments, **words):
        actions, state = super().predict(*arguments, **words)
        return np.full(len(actions), 49), state


class CrashesLater:
    """At the third look."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        state = 1 if state is None else state + 1
        if state == 3:
            raise ZeroDivisionError("lost my way")
        return np.zeros((len(observation["hidden_state"]), 2), np.float32), state


class EndsItsProcess(Sideways):
    def predict(self, *arguments, **words):
        os._exit(3)


class NeverAnswers(Sideways):
    def predict(self, *arguments, **words):
        time.sleep(1000)


NO_POLICY = 5


def learn(task, on_update, seed, shift=0.0):
    """A learner of one's own: learns nothing."""
    from agents.learners.base import Update

    on_update(Update(1, 100, 0.5, {"charts/episodic_return": shift, "charts/accuracy": 0.5}))
    return Sideways(seed)
