"""Where a policy would look next, had it been the one who looked: a heat map.

Any policy will do, since the map is made of what it samples.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from agents.play.courses import observed
from gf_env import geometry
from gf_env.envs.episodes import Episodes
from gf_env.envs.make_task import network_actions
from gf_env.envs.task import Task
from gf_env.inference.policy_memory import take_memory
from gf_env.policy import Policy, grid_size_of, stops

SAMPLES = 256
"""Of the next look."""


@runtime_checkable
class Corrigible(Protocol):
    """What a policy also offers whose memory holds its own choices: it can be told of others."""

    def corrected(
        self,
        before: NDArray[np.float32] | None,
        after: NDArray[np.float32],
        locations: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Return the memory as it were if somebody else had chosen the newest look.

        Args:
            before: (n, m), the memory before the policy chose; None at first.
            after: (n, m), what `predict` returned.
            locations: (n, 2) in [0, 1], where the look was instead.
        """
        ...


def next_look(task: Task, policy: Policy, states: Sequence[Episodes]) -> NDArray[np.float32]:
    """Return which pixels a policy's next look would show, by how many of its samples do.

    A policy without chance shows one patch. One that keeps its own choices in its memory and is not
    `Corrigible` answers as if it had made them.

    Args:
        task: what is played.
        policy: any that sees no labels.
        states: an episode of n = 1 after each look so far, the glance first.

    Returns:
        (S, S) float32 in [0, 1].

    Raises:
        ValueError: a policy that was made for other observations, or whose actions cannot be.
    """
    memory: Any = None
    for step, (state, after) in enumerate(itertools.pairwise(states)):
        before = memory
        first = np.array([step == 0])
        _, memory = policy.predict(observed(policy, state), before, first, deterministic=True)
        if isinstance(policy, Corrigible):
            where = after.locations[:, step].cpu().numpy()
            memory = policy.corrected(before, memory, where)
    many = torch.zeros(SAMPLES, dtype=torch.int64, device=task.device)
    seen = observed(policy, states[-1].take(many))
    memories = take_memory(memory, np.zeros(SAMPLES, np.int64))
    first = np.full(SAMPLES, len(states) == 1)
    chosen, _ = policy.predict(seen, memories, first, deterministic=False)
    codec = network_actions(task.network, grid_size_of(policy), stop=stops(policy))
    look = codec.decode(chosen, SAMPLES)
    locations = look.locations if look.stop is None else look.locations[~look.stop]
    return _coverage(locations, task.network.config.image_size, task.network.config.patch_size)


def _coverage(locations: torch.Tensor, image_size: int, patch_size: int) -> NDArray[np.float32]:
    """Return the share of all samples that cover each pixel, (S, S), of some of their locations."""
    covered = np.zeros((image_size, image_size), np.float32)
    for row, col in geometry.corners(locations, image_size, patch_size).tolist():
        covered[row : row + patch_size, col : col + patch_size] += 1 / SAMPLES
    return covered
