"""How adaptive inference asks a policy: on tensors where it can, else through `predict`.

A policy that chooses on tensors saves the way to NumPy and back for what it sees, its actions and
its memory.
"""

from typing import Any, Protocol

import torch
from typing_extensions import override

from gf_env.envs.actions import ActionCodec, Look
from gf_env.envs.episodes import Episodes
from gf_env.envs.observations import observation, observation_tensors
from gf_env.inference.policy_memory import check_memory, join_memory, take_memory
from gf_env.policy import Policy, TensorPolicy, observed_by, shown_as_trained


class Chooser(Protocol):
    """Chooses the next looks of episodes, deterministically, and keeps their memory in rows."""

    def start(self, count: int) -> Any:
        """Return the memory of `count` episodes after their glance."""
        ...

    def choose(self, state: Episodes, memory: Any) -> tuple[Look, Any]:
        """Return the next looks of episodes and the memory after them.

        Raises:
            ValueError: actions of a wrong shape or NaN, or a memory whose rows cannot be told
                apart.
        """
        ...

    def take(self, memory: Any, rows: torch.Tensor) -> Any:
        """Return the memory of the episodes in `rows`, (k,) int64."""
        ...

    def join(self, memory: Any, others: Any, counts: tuple[int, int]) -> Any:
        """Return the memory of some episodes and of others, as many as `counts`, as one."""
        ...


class ByPredict(Chooser):
    """Asks any policy as an environment's user does."""

    def __init__(self, policy: Policy, actions: ActionCodec) -> None:
        self._policy, self._actions = policy, actions
        self._observe = observed_by(policy)
        self._as_trained = shown_as_trained(policy)

    @override
    def start(self, count: int) -> None:
        return None

    @override
    def choose(self, state: Episodes, memory: Any) -> tuple[Look, Any]:
        starts, count = (state.step == 1).cpu().numpy(), len(state.step)
        seen = self._as_trained(observation(state, self._observe))
        actions, memory = self._policy.predict(seen, memory, starts, deterministic=True)
        check_memory(memory, count)
        return self._actions.decode(actions, count), memory

    @override
    def take(self, memory: Any, rows: torch.Tensor) -> Any:
        return take_memory(memory, rows.cpu().numpy())

    @override
    def join(self, memory: Any, others: Any, counts: tuple[int, int]) -> Any:
        return join_memory(memory, others, counts)


class OnTensors(Chooser):
    """Asks a policy that chooses on tensors."""

    def __init__(self, policy: TensorPolicy, actions: ActionCodec) -> None:
        self._policy, self._actions = policy, actions
        self._observe = observed_by(policy)

    @override
    def start(self, count: int) -> torch.Tensor:
        return self._policy.initial_memory(count)

    @override
    def choose(self, state: Episodes, memory: torch.Tensor) -> tuple[Look, torch.Tensor]:
        seen = observation_tensors(state, self._observe)
        self._policy.check_shown(seen)
        actions, memory = self._policy.choose(seen, memory, None)
        return self._actions.to_look(actions), memory

    @override
    def take(self, memory: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return memory.index_select(0, rows)

    @override
    def join(
        self, memory: torch.Tensor, others: torch.Tensor, counts: tuple[int, int]
    ) -> torch.Tensor:
        return torch.cat([memory, others])


def chooser(policy: Policy, actions: ActionCodec, device: torch.device) -> Chooser:
    """Return the quickest way to ask a policy about episodes on a device."""
    if isinstance(policy, TensorPolicy) and policy.device == device:
        return OnTensors(policy, actions)
    return ByPredict(policy, actions)
