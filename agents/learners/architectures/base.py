"""What an architecture offers to learners: settings of its own, and a policy made of them.

How a policy is built and what it learns from are separate choices. A learner's configuration is
made of two parts: settings of the learning signal, and an architecture's. `with_architecture` puts
them together, so that any learner from episodes trains any architecture.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from agents.learners.base import Metrics
from agents.policies.actor_critic import ActorCritic, ActorCriticPolicy
from gf_env.configuration import configuration
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from gf_env.envs.task import Task


@configuration
class Architecture:
    """Settings of a network; those of an architecture are a subclass.

    Attributes:
        suits: settings of learners that suit it better than their defaults, by name.
    """

    suits: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        """Check what concerns several fields; nothing here."""

    def new_policy(self, task: Task, seed: int) -> ActorCriticPolicy[Any]:
        """Return an untrained policy for a task's observations and actions, on its device.

        Args:
            task: what will be played.
            seed: of its weights and samples.

        Raises:
            ValueError: the architecture cannot play it.
        """
        raise NotImplementedError

    def lead(self, network: ActorCritic, progress: float) -> Metrics:
        """Set what the network's settings lead from the first update to the last.

        Args:
            network: of a policy that `new_policy` made.
            progress: share of all updates that are done, in [0, 1).

        Returns:
            What it was set to, by name.
        """
        return {}


def shown(task: Task, name: str) -> tuple[int, ...]:
    """Return the shape of an observation that a task shows, without the batch axis."""
    observed = (name,) if name in EXTRA_OBSERVATIONS else ()
    space = dataclasses.replace(task, observe=observed).observation_space[name]
    return tuple(space.shape or ())


def with_architecture(learner: type[Any], architecture: type[Architecture]) -> type[Any]:
    """Return the class of a learner's settings with an architecture's among them.

    Args:
        learner: settings of what is learned from, such as `agents.learners.ppo.PPOSettings`.
        architecture: settings of the network. Where it says what suits it, that is the default.
    """
    fields = {field.name: field.type for field in dataclasses.fields(learner)}
    suiting = {name: value for name, value in architecture.suits.items() if name in fields}
    made = {
        "__doc__": f"{learner.__name__} with the architecture {architecture.__name__}.",
        "__module__": learner.__module__,
        "__annotations__": {name: fields[name] for name in suiting},
        **suiting,
    }
    name = f"{architecture.__name__}{learner.__name__.removesuffix('Settings')}Config"
    return configuration(type(name, (architecture, learner), made))
