"""What a learner must offer so that its training can be looked at, stopped and resumed."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from agents.learners.base import Metrics
from agents.policies.base import Policy
from gf_env.configuration import described
from gf_env.datasets.base import dataset_digest
from gf_env.envs.task import Task

Weights = dict[str, torch.Tensor]

_Network = TypeVar("_Network", bound=nn.Module)
_Config = TypeVar("_Config")


class Validated(Protocol):
    """What has a policy that changes as it learns."""

    def policy(self) -> Policy:
        """Return the policy as it is now."""
        ...

    def weights(self) -> Weights:
        """Return a copy of what is learned."""
        ...

    def load_weights(self, weights: Weights) -> None:
        """Restore such a copy."""
        ...


class Resumable(Validated, Protocol):
    """A learner whose updates are taken one by one.

    Attributes:
        total: updates in all.
    """

    @property
    def total(self) -> int: ...  # noqa: D102

    def about(self) -> dict[str, Any]:
        """Return all that a training is, JSON-serialisable: task and settings by name."""
        ...

    def updates_left(self) -> Iterator[Metrics]:
        """Yield the metrics of each update that is left."""
        ...

    def steps_after(self, number: int) -> int:
        """Return how many actions are taken in so many updates."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on, as `save_state` takes it."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        ...


class NetworkLearner(Generic[_Network, _Config]):
    """What learners share that train one network with one optimiser.

    Args:
        task: what to learn.
        config: settings.
        name: the learner's.
        network: on the task's device.
        optimiser: of its weights.
    """

    def __init__(
        self,
        task: Task,
        config: _Config,
        name: str,
        network: _Network,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self._task, self._config, self._name = task, config, name
        self._network, self._optimiser = network, optimiser
        self._done = 0

    def about(self) -> dict[str, Any]:
        """Return what the training is, JSON-serialisable: learner, settings, task."""
        # how long it may take changes no update
        settings = {**described(self._config), "max_seconds": None}
        return {"learner": self._name, **settings, **_facts(self._task)}

    def weights(self) -> Weights:
        """Return a copy of the network's weights."""
        return {name: value.clone() for name, value in self._network.state_dict().items()}

    def load_weights(self, weights: Weights) -> None:
        """Restore such a copy."""
        self._network.load_state_dict(weights)

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on, as `save_state` takes it."""
        return {
            "policy": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "done": self._done,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self._network.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._done = state.get("done", 0)  # those of before have whole epochs behind them


def _facts(task: Task) -> dict[str, Any]:
    """Return which task is learned, images and network by digests."""
    return {
        "images": dataset_digest(task.dataset)[:16],
        "network": task.network.digest()[:16],
        "glimpses": type(task.glimpse_source).__name__,
        "actions": str(task.actions.space),
        **dataclasses.asdict(task.rules),
    }
