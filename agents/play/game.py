"""A game of one player: ten scenes, looked at one after the other, and the score.

Whoever plays sees the game as it was at some moment, and says with each click which one that was.
A click on what has changed since is ignored. So clicks that come faster than the page changes, in
whatever order, lead to no other state than slow ones.
"""

import threading
from typing import NamedTuple

import numpy as np

from agents.play.arena import Arena
from agents.play.courses import Course

SCENES = 10
"""In a game."""
PLAYER = "you"


class Tally(NamedTuple):
    """What somebody has reached on the scenes so far.

    Attributes:
        name: whose.
        right: of each scene, whether the network was right at the end.
        returns: of each scene.
    """

    name: str
    right: tuple[bool, ...]
    returns: tuple[float, ...]

    @property
    def mean_return(self) -> float:
        """Mean of the returns; 0 before the first."""
        return sum(self.returns) / len(self.returns) if self.returns else 0.0


class Moment(NamedTuple):
    """What there is to see of a game at one moment; nothing in it changes.

    Attributes:
        number: of the moment; it grows with every change of the game.
        scene: of the scene, from 1.
        course: the player's looks at it.
        others: the opponents' courses; none before the player's is over.
        tallies: of scenes that are over, the player's first.
        ended: whether this was the last look of the game.
    """

    number: int
    scene: int
    course: Course
    others: tuple[Course, ...]
    tallies: tuple[Tally, ...]
    ended: bool


class Game:
    """A game of one player.

    Args:
        arena: the task, and who else plays; may be shared with other games.
        number: 0 or more; games of the same number at the same task have the same scenes.
        scenes: how many, as many as the task has at most.

    Raises:
        ValueError: a negative number.
    """

    def __init__(self, arena: Arena, number: int = 1, scenes: int = SCENES) -> None:
        if number < 0:
            raise ValueError(f"the number of a game is 0 or more, got {number}")
        self.arena, self.number = arena, number
        drawn = np.random.default_rng(number).choice(len(arena.task.dataset), scenes, replace=False)
        self.indices: tuple[int, ...] = tuple(drawn.tolist())
        self._changes = threading.Lock()
        self._finished: tuple[tuple[Course, ...], ...] = ()
        self._moment = self._at(0, 0, arena.begin(self.indices[0]))

    @property
    def moment(self) -> Moment:
        """The game as it is now."""
        return self._moment

    def look(self, moment: int, row: float, col: float) -> bool:
        """Look at the patch around a place, as somebody chose it who saw the game at a moment.

        Args:
            moment: its number.
            row: in [0, 1] from the upper edge of the image to the lower one; clipped.
            col: likewise, from the left.

        Returns:
            Whether there was a look. There is none where the game has changed since that moment, or
            the scene is over.

        Raises:
            ValueError: a place that is NaN.
        """
        with self._changes:
            now = self._moment
            if moment != now.number or now.course.over:
                return False
            course = self.arena.look(now.course, row, col)
            others: tuple[Course, ...] = ()
            if course.over:
                others = self.arena.opponents_on(self.indices[now.scene - 1])
                self._finished = (*self._finished, (course, *others))
            self._moment = self._at(now.number + 1, now.scene - 1, course, others)
            return True

    def next_scene(self, moment: int) -> bool:
        """Go on to the next scene, as somebody asks who saw the game at a moment.

        Returns:
            Whether that was done. It is not where the game has changed since that moment, the scene
            is not over, or it was the last.
        """
        with self._changes:
            now = self._moment
            if moment != now.number or not now.course.over or now.ended:
                return False
            course = self.arena.begin(self.indices[now.scene])
            self._moment = self._at(now.number + 1, now.scene, course)
            return True

    def _at(
        self, number: int, position: int, course: Course, others: tuple[Course, ...] = ()
    ) -> Moment:
        names = (PLAYER, *(each.name for each in self.arena.opponents))
        tallies = tuple(
            Tally(
                name,
                tuple(courses[player].correct for courses in self._finished),
                tuple(courses[player].total for courses in self._finished),
            )
            for player, name in enumerate(names)
        )
        ended = len(self._finished) == len(self.indices)
        return Moment(number, position + 1, course, others, tallies, ended)
