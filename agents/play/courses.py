"""One scene as somebody looks at it, a person or a policy: the same record of both.

A course is an argument and a result; nothing here keeps any.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env import geometry
from gf_env.envs.actions import Look
from gf_env.envs.episodes import Episodes
from gf_env.envs.make_task import network_actions
from gf_env.envs.observations import observation
from gf_env.envs.task import Task
from gf_env.network.config import NetworkConfig
from gf_env.policy import (
    Policy,
    PrivilegedPolicy,
    grid_size_of,
    observed_by,
    shown_as_trained,
    stops,
)


class Course(NamedTuple):
    """The looks at one scene so far.

    Attributes:
        states: an episode of n = 1 after each look, the glance first.
        rewards: of each look after the glance.
        over: whether the episode has ended.
    """

    states: tuple[Episodes, ...]
    rewards: tuple[float, ...]
    over: bool

    @property
    def looks(self) -> int:
        """How many there were, the glance included."""
        return int(self.states[-1].step)

    @property
    def label(self) -> int:
        """The scene's true class."""
        return int(self.states[0].labels)

    @property
    def prediction(self) -> int:
        """The class that the network takes the scene for now."""
        return int(self.states[-1].logits.argmax())

    @property
    def correct(self) -> bool:
        """Whether that is the true one."""
        return self.prediction == self.label

    @property
    def total(self) -> float:
        """The return so far: the sum of the rewards."""
        return math.fsum(self.rewards)

    def probabilities(self, look: int = -1) -> NDArray[np.float32]:
        """Return those of all classes after a look, (classes,) float32; the newest by default."""
        return self.states[look].logits[0].softmax(0).cpu().numpy()

    def corners(self, config: NetworkConfig) -> list[list[int]]:
        """Return the top-left pixels (row, col) of the patches looked at, in their order."""
        locations = self.states[-1].locations[0, : self.looks - 1]
        corners: list[list[int]] = geometry.corners(
            locations, config.image_size, config.patch_size
        ).tolist()
        return corners


def begin(task: Task, index: int) -> Course:
    """Return a course on the image at `index` of the task's data set, after the glance."""
    return Course((task.start(np.array([index])),), (), over=False)


def look_again(task: Task, course: Course, look: Look) -> Course:
    """Return a course after one more look; it must not be over."""
    state, rewards, terminated = task.step(course.states[-1], look)
    return Course((*course.states, state), (*course.rewards, float(rewards)), bool(terminated))


def patch_around(config: NetworkConfig, row: float, col: float) -> torch.Tensor:
    """Return the location of the patch with a place in its middle, as far as the image reaches.

    Args:
        config: of the network that looks.
        row: of the place, in [0, 1] from the image's upper edge to the lower one; clipped.
        col: likewise, from the left.

    Returns:
        (1, 2) float32 in [0, 1].

    Raises:
        ValueError: a place that is NaN.
    """
    if math.isnan(row) or math.isnan(col):
        raise ValueError(f"a place is a row and a column in [0, 1], got {row} and {col}")
    travel = config.image_size - config.patch_size
    place = torch.tensor([[row, col]], dtype=torch.float64).clamp(0, 1)
    corner = (place * config.image_size - config.patch_size / 2).round().clamp(0, travel)
    # half a pixel on, so that rounding does not start the patch one pixel too early
    return ((corner + 0.5) / max(travel, 1)).clamp(0, 1).float()


def play(task: Task, policy: Policy | PrivilegedPolicy, index: int) -> Course:
    """Return a policy's course on one image, with its likeliest actions.

    Args:
        task: what is played; how the policy acts and what it sees is what it says of itself.
        policy: any.
        index: of the image.

    Raises:
        ValueError: a policy that was made for other observations, or whose actions cannot be.
    """
    course, memory = begin(task, index), None
    actions = network_actions(task.network, grid_size_of(policy), stop=stops(policy))
    while not course.over:
        if isinstance(policy, PrivilegedPolicy):
            look = policy.choose_looks(task, course.states[-1], np.array([index]))
        else:
            seen = observed(policy, course.states[-1])
            first = np.array([course.looks == 1])
            chosen, memory = policy.predict(seen, memory, first, deterministic=True)
            look = actions.decode(chosen, 1)
        course = look_again(task, course, look)
    return course


def observed(policy: Policy, state: Episodes) -> Any:
    """Return what a policy is shown of episodes, as it was trained."""
    return shown_as_trained(policy)(observation(state, observed_by(policy)))
