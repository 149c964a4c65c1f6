"""A task at a level, with those who play on its scenes beside a person; shared by all players."""

import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.play import courses, hints
from agents.play.courses import Course
from agents.policies.base import Policy, PrivilegedPolicy
from gf_env.envs.actions import Look
from gf_env.envs.task import Task

KEPT = 256
"""Scenes whose courses by the opponents are kept."""


class Opponent(NamedTuple):
    """Who plays on the same scenes.

    Attributes:
        name: in tables and pictures.
        policy: sees labels or does not.
    """

    name: str
    policy: Policy | PrivilegedPolicy

    @property
    def hints(self) -> bool:
        """Whether it can say where it would look: one that sees labels would give them away."""
        return not isinstance(self.policy, PrivilegedPolicy)


class Arena:
    """What players share. One call at a time computes; the others wait.

    Args:
        task: with continuous actions, so that a person may look at any patch.
        opponents: in the order of tables; each of another name.
        goal: what a person is told to do.
        left_out: who does not play, and why.
    """

    def __init__(
        self,
        task: Task,
        opponents: Sequence[Opponent],
        goal: str = "",
        left_out: Sequence[str] = (),
    ) -> None:
        self.task, self.goal = task, goal
        self.opponents, self.left_out = tuple(opponents), tuple(left_out)
        # policies draw from generators of their own, and oracles keep what they encoded
        self._one_at_a_time = threading.Lock()
        self._courses = functools.lru_cache(maxsize=KEPT)(self._play)

    def begin(self, index: int) -> Course:
        """Return a course on a scene, after the glance."""
        with self._one_at_a_time:
            return courses.begin(self.task, index)

    def look(self, course: Course, row: float, col: float) -> Course:
        """Return a course after a look at the patch around a place; see `courses.patch_around`."""
        where = courses.patch_around(self.task.network.config, row, col)
        with self._one_at_a_time:
            return courses.look_again(self.task, course, Look(where.to(self.task.device)))

    def opponents_on(self, index: int) -> tuple[Course, ...]:
        """Return what each opponent does with a scene."""
        with self._one_at_a_time:
            return self._courses(index)

    def hint(self, name: str, course: Course) -> NDArray[np.float32]:
        """Return where an opponent would look next, (S, S) float32; see `hints.next_look`.

        Raises:
            ValueError: none of that name, or one that sees labels.
        """
        policies = {each.name: each.policy for each in self.opponents if each.hints}
        policy = policies.get(name)
        if policy is None or isinstance(policy, PrivilegedPolicy):
            raise ValueError(f"no hint by {name!r}; choose one of {list(policies)}")
        with self._one_at_a_time:
            return hints.next_look(self.task, policy, course.states)

    def _play(self, index: int) -> tuple[Course, ...]:
        return tuple(courses.play(self.task, each.policy, index) for each in self.opponents)
