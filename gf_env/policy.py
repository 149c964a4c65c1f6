"""What a policy is, and what it says of itself: what it wants to see, and how it acts."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from gf_env.envs.task import Task


class ChoiceCost(NamedTuple):
    """What a policy's choices cost, in multiply-adds for one image.

    Attributes:
        first: the first choice of a patch in an episode.
        later: each one after it.
        stop: a choice to stop.
    """

    first: int
    later: int
    stop: int

    def cumulative(self, looks: int) -> list[int]:
        """Return what the choices of patches cost until each of `looks` looks, the glance first."""
        each = [0, self.first] + [self.later] * max(0, looks - 2)
        return list(itertools.accumulate(each[:looks]))


@runtime_checkable
class Policy(Protocol):
    """Anything that chooses actions as a Stable-Baselines3 model does.

    A policy may also have four attributes: `observe`, a tuple of extra observation keys that it
    wants to see, none by default; `grid_size`, n where its actions number the patches of an n x n
    grid; `stop`, True where one of its actions ends the episode; and `multiply_adds`, what a choice
    for one image costs, an int or a `ChoiceCost`, 0 by default.
    """

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Choose the next patch of n episodes.

        Args:
            observation: dict of batched float32 arrays, `features` (n, channels, h, w),
                `hidden_state` (n, H) and the keys that the policy's `observe` attribute asks for.
            state: what the call before returned; None at first.
            episode_start: (n,) bool, True where an episode is new.
            deterministic: take the likeliest action instead of a sample.

        Returns:
            actions, (n, 2) float32 in [-1, 1] or (n,) grid indices, or those of
            `gf_env.envs.actions` that may stop, and the state for the next call.
        """
        ...


@runtime_checkable
class TensorPolicy(Protocol):
    """A policy that also chooses on tensors, where they are, without NumPy in between."""

    @property
    def device(self) -> torch.device:
        """Where it is."""
        ...

    def check_shown(self, shown: Mapping[str, Any]) -> None:
        """Raise ValueError where what is shown is not what the policy was made for."""
        ...

    def initial_memory(self, count: int) -> torch.Tensor:
        """Return what it remembers before the first look of `count` episodes, (count, m)."""
        ...

    def choose(
        self,
        seen: Mapping[str, torch.Tensor],
        memory: torch.Tensor,
        generator: torch.Generator | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the next patches of n episodes, on the policy's device.

        Args:
            seen: (n, ...) float32 each, by name, what `Policy.predict` is shown.
            memory: (n, m) float32.
            generator: of samples; None for the likeliest actions.

        Returns:
            actions, as `Policy.predict` has them, and the memory after them.
        """
        ...


@runtime_checkable
class PrivilegedPolicy(Protocol):
    """A policy that may see everything, labels too; an upper bound, never a competitor.

    It may have an attribute `stop`, True where its looks may stop.
    """

    def choose_looks(
        self, task: Task, state: episodes.Episodes, indices: NDArray[np.int64]
    ) -> Look:
        """Choose the next look of n episodes.

        Args:
            task: what is played.
            state: its episodes.
            indices: (n,) int64, which images of the task's data set they are on.
        """
        ...


def observed_by(policy: Any) -> tuple[str, ...]:
    """Return the extra keys that a policy wants to see.

    They are those of its `observe` attribute, or those in its `observation_space`, as
    Stable-Baselines3 models have one.
    """
    if hasattr(policy, "observe"):
        return tuple(policy.observe)
    shown = getattr(getattr(policy, "observation_space", None), "spaces", {})
    return tuple(key for key in EXTRA_OBSERVATIONS if key in shown)


def grid_size_of(policy: Any, given: int | None = None) -> int | None:
    """Return n where a policy's actions number n x n patches, None where they are locations.

    It is what the policy says, with an attribute `grid_size` or the `action_space` that
    Stable-Baselines3 models have.

    Args:
        policy: any.
        given: n in the place of what the policy says; None leaves it to the policy.

    Raises:
        ValueError: it numbers patches that are not of a square grid.
    """
    said: int | None = getattr(policy, "grid_size", None) if given is None else given
    space = getattr(policy, "action_space", None)
    if said is not None or not isinstance(space, spaces.Discrete):
        return said
    patches = int(space.n) - stops(policy)
    size = math.isqrt(patches)
    if size**2 != patches or not size:
        raise ValueError(
            f"a grid has n x n patches, and one action more to stop, but the policy's actions are "
            f"{space}; say grid_size"
        )
    return size


def stops(policy: Any) -> bool:
    """Return whether one of a policy's actions ends the episode.

    It is what the policy says, with an attribute `stop`, or follows from the `action_space` that
    Stable-Baselines3 models have: three numbers instead of two, or one index more than a square.
    """
    if hasattr(policy, "stop"):
        return bool(policy.stop)
    space = getattr(policy, "action_space", None)
    if isinstance(space, spaces.Discrete):
        patches = int(space.n) - 1
        return patches > 0 and math.isqrt(patches) ** 2 == patches
    return isinstance(space, spaces.Box) and space.shape == (3,)


def shown_as_trained(policy: Any) -> Callable[[Any], Any]:
    """Return what is to be done to observations before a policy sees them.

    A Stable-Baselines3 model that has a `VecNormalize` around its environment has learned on
    normalised observations, and it gets such, by the statistics as they are.
    """
    wrapper_of = getattr(policy, "get_vec_normalize_env", None)
    wrapper = None if wrapper_of is None else wrapper_of()
    if wrapper is None:
        return lambda observation: observation
    # normalises what its `norm_obs` says, nothing where only rewards were
    normalise: Callable[[Any], Any] = wrapper.normalize_obs
    return normalise


def choice_cost(policy: Any) -> ChoiceCost:
    """Return what a policy's choices cost, as its attribute `multiply_adds` says."""
    said = getattr(policy, "multiply_adds", 0)
    return said if isinstance(said, ChoiceCost) else ChoiceCost(said, said, said)
