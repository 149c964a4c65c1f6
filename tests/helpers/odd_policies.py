"""Policies that go wrong, for tests of the benchmark: `tests.helpers.odd_policies:Name`."""

import os
import time

import numpy as np


class Sideways:
    """Fine: looks at the same place."""

    def __init__(self, seed):
        self._action = np.full(2, seed / 10, np.float32)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        looks = 1 if state is None else state + 1
        return self.choose(len(observation["hidden_state"]), looks), looks

    def choose(self, count, looks):
        return np.tile(self._action, (count, 1))


class WrongShape(Sideways):
    def choose(self, count, looks):
        return np.zeros((count, 1), np.float32)


class NotANumber(Sideways):
    def choose(self, count, looks):
        return np.full((count, 2), np.nan, np.float32)


class OutsideTheGrid(Sideways):
    def choose(self, count, looks):
        return np.full(count, 49)


class CrashesLater(Sideways):
    def choose(self, count, looks):
        if looks == 3:
            raise ZeroDivisionError("lost my way")
        return super().choose(count, looks)


class EndsItsProcess(Sideways):
    def choose(self, count, looks):
        os._exit(3)


class NeverAnswers(Sideways):
    def choose(self, count, looks):
        time.sleep(1000)


class NeverAnswersAndSaysSo(Sideways):
    """Adds a byte to a file as long as its process lives, two minutes at most."""

    def __init__(self, seed, file):
        super().__init__(seed)
        self._file = file

    def choose(self, count, looks):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with open(self._file, "ab") as stream:
                stream.write(b".")
            time.sleep(0.05)


class WaitsForALoss(Sideways):
    """Fine, but goes on only once a file is there."""

    def __init__(self, seed, gone):
        super().__init__(seed)
        self._gone = gone

    def choose(self, count, looks):
        until = time.monotonic() + 120
        while not os.path.exists(self._gone) and time.monotonic() < until:
            time.sleep(0.1)
        return super().choose(count, looks)


NO_POLICY = 5


def learn(task, on_update, seed, shift=0.0):
    """A learner of one's own: learns nothing."""
    from agents.learners.base import Update

    on_update(Update(1, 100, 0.5, {"charts/episodic_return": shift, "charts/accuracy": 0.5}))
    return Sideways(seed)
