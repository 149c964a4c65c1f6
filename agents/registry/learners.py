"""Learners by name, each with its settings, behind one call.

A learner here makes a policy for a task. The benchmark finds learners by the names here, or as
`package.module:function`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import Field

from agents.learners import (
    belief_search,
    imitation,
    paper_ppo,
    ppo,
    q_learning,
    reinforce,
    stopping,
)
from agents.learners.architectures.base import Architecture, with_architecture
from agents.learners.architectures.map import Map
from agents.learners.base import OnUpdate, Update
from agents.learners.supervisor import Supervisor
from agents.policies.base import Policy
from agents.sb3 import learners
from gf_env.configuration import configuration
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.import_paths import call_with, is_module_path, load_object

Train = Callable[..., Policy]
"""Trains a policy on the task that the arguments make, `TaskArguments`: called with these, a
configuration and, where they are wanted, an `OnUpdate` and a `Supervisor`, or None for either."""


class Learner(NamedTuple):
    """A way of making a policy."""

    config: Callable[..., Any]
    """Makes its configuration from settings by name and `seed`, and checks them."""
    train: Train
    chooses_on_tensors: bool = True
    """Whether its policies are networks of this package, on whose looks others can be trained."""
    length: str | None = None
    """The setting that says how many actions are taken in all, where there is one."""


def _on_tasks(train: Callable[..., Policy]) -> Train:
    """Return a learner that takes a built task as one that takes its arguments."""

    def train_on(
        arguments: TaskArguments,
        config: Any,
        on_update: OnUpdate | None = None,
        supervisor: Supervisor | None = None,
    ) -> Policy:
        return train(make_task(**arguments), config, on_update, supervisor)

    return train_on


def _train_sb3(
    task_arguments: TaskArguments,
    config: Any,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> Policy:
    return learners.train(config, on_update, supervisor, **task_arguments)


@configuration
class WhereAndWhenConfig(stopping.StoppingConfig):
    """Settings of a learner that first learns where to look, then when to stop."""

    where: str = "belief"
    """The name of the learner of the former, with the same seed."""
    where_settings: Mapping[str, Any] = Field(default_factory=dict)
    """Its settings."""

    def __post_init__(self) -> None:
        """Refuse a learner or settings that do not exist."""
        super().__post_init__()
        self.where_config()

    def where_config(self) -> Any:
        """Return its configuration."""
        return make_config(get_learner(self.where), self.where, self.where_settings, self.seed)


def _train_where_and_when(
    task_arguments: TaskArguments,
    config: WhereAndWhenConfig,
    on_update: OnUpdate | None = None,
    supervisor: Supervisor | None = None,
) -> Policy:
    """Train where to look as if looks were free, then when to stop at their price.

    The former is supervised; the latter takes seconds, and is done anew where it was stopped.
    """
    where: TaskArguments = {**task_arguments, "stop": False, "look_cost": 0.0}
    last = Update(0, 0, 0.0, {})

    def before(update: Update) -> None:
        nonlocal last
        last = update
        if on_update is not None:
            on_update(update)

    def after(update: Update) -> None:
        if on_update is not None:
            on_update(
                dataclasses.replace(
                    update,
                    number=last.number + update.number,
                    steps=last.steps + update.steps,
                    seconds=last.seconds + update.seconds,
                )
            )

    policy = get_learner(config.where).train(where, config.where_config(), before, supervisor)
    price: TaskArguments = {**task_arguments, "stop": False}
    return stopping.train(make_task(**price), policy, config, after)


ARCHITECTURES: Mapping[str, type[Architecture]] = {"map": Map}
"""Architectures that every learner from episodes can train. The recurrent one is not among them:
its learners have settings of their own for it."""

FROM_EPISODES: Mapping[str, tuple[type[Any], Callable[..., Policy]]] = {
    "ppo": (ppo.PPOSettings, ppo.train),
    "reinforce": (reinforce.ReinforceSettings, reinforce.train),
    "q": (q_learning.QSettings, q_learning.train),
    "imitation": (imitation.ImitationSettings, imitation.train),
}
"""Learners that train any architecture: their settings, and what trains with them."""


def _from_episodes(config: type[Any], train: Callable[..., Policy]) -> Learner:
    """Return a learner from episodes, whose settings say how many steps it takes."""
    return Learner(config, _on_tasks(train), length="steps")


LEARNERS: Mapping[str, Learner] = {
    "paper-ppo": _from_episodes(paper_ppo.PaperPPOConfig, paper_ppo.train),
    "recurrent-ppo": _from_episodes(ppo.RecurrentPPOConfig, ppo.train),
    "reinforce": _from_episodes(reinforce.ReinforceConfig, reinforce.train),
    "q": _from_episodes(q_learning.QConfig, q_learning.train),
    "imitation": _from_episodes(imitation.ImitationConfig, imitation.train),
    **{
        f"{name}-{signal}": _from_episodes(with_architecture(settings, architecture), train)
        for name, architecture in ARCHITECTURES.items()
        for signal, (settings, train) in FROM_EPISODES.items()
    },
    "belief": Learner(belief_search.BeliefLearnerConfig, _on_tasks(belief_search.train)),
    "stopping": Learner(WhereAndWhenConfig, _train_where_and_when, chooses_on_tensors=False),
    **{
        f"sb3-{algorithm.lower()}": Learner(
            functools.partial(learners.SB3Config, algorithm),
            _train_sb3,
            chooses_on_tensors=False,
            length="total_timesteps",
        )
        for algorithm in learners.ALGORITHMS
    },
}


def get_learner(name: str) -> Learner:
    """Return a learner by name.

    Args:
        name: one of `LEARNERS`, or `package.module:function` of a function that is called with the
            task, the settings, and `seed`, `on_update` and `supervisor` where it takes them.

    Raises:
        ValueError: an unknown name.
    """
    if name in LEARNERS:
        return LEARNERS[name]
    if is_module_path(name):
        return _own_learner(name)
    raise ValueError(
        f"unknown learner {name!r}; choose one of {sorted(LEARNERS)}, or package.module:function"
    )


_LENGTHS = ("epochs", "updates", "steps", "total_timesteps")
"""Settings of learners that say how long a training is."""


def make_config(
    learner: Learner, name: str, settings: Mapping[str, Any], seed: int, limit: int | None = None
) -> Any:
    """Return a learner's configuration.

    Args:
        learner: whose it is.
        name: the learner's.
        settings: its settings.
        seed: likewise.
        limit: of steps, where the settings do not say how long a training is.

    Raises:
        ValueError: a setting is unknown or out of range.
    """
    # files have lists where configurations have tuples
    values = {
        key: tuple(each) if isinstance(each, list) else each for key, each in settings.items()
    }
    if limit is not None and learner.length is not None and not {*_LENGTHS} & {*settings}:
        values[learner.length] = limit
    try:
        return learner.config(**values, seed=seed)
    except TypeError as error:
        raise ValueError(f"settings {dict(settings)} do not fit {name}: {error}") from error


def _own_learner(name: str) -> Learner:
    def train(
        task_arguments: TaskArguments,
        config: Any,
        on_update: OnUpdate | None = None,
        supervisor: Supervisor | None = None,
    ) -> Policy:
        task = make_task(**task_arguments)
        offered = {
            "task": task,
            "seed": config["seed"],
            "on_update": on_update,
            "supervisor": supervisor,
        }
        settings = {key: value for key, value in config.items() if key != "seed"}
        policy: Policy = call_with(load_object(name), settings, offered)
        return policy

    return Learner(dict, train)
