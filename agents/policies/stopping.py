"""When to stop, around a policy that says where to look, and the paper's rule for it.

The paper's rule (section 3.3) is to stop once the largest probability reaches a threshold;
`agents.policies.learned_stopping` has one that is learned.
"""

import abc
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from typing_extensions import Self, override

from agents.policies.base import Policy, batch_size
from agents.policies.network_policies import NETWORK_POLICIES
from agents.policies.network_policy import NetworkPolicy
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from gf_env.inference.policy_memory import check_memory, spread_memory, take_memory
from gf_env.policy import (
    ChoiceCost,
    choice_cost,
    grid_size_of,
    observed_by,
    shown_as_trained,
    stops,
)
from gf_env.storage.assets import find_tensor_file
from gf_env.storage.modules import load_module, save_module, set_origin

Observation = Mapping[str, NDArray[Any]]
STEP = "step"
"""The observation that says how many looks there were."""


class StoppingPolicy(abc.ABC):
    """A policy that stops by a rule, and else looks where another policy says.

    The other policy is asked only about the episodes that go on. Its state is the state.

    Args:
        policy: says where to look; it cannot stop itself.
        sees: observations that the rule needs.
        grid_size: n for n x n grid actions of a policy that does not say so.

    Attributes:
        file_kind: what its files say that they hold.
        policy: as given.
        observe: extra observation keys that the policy or the rule sees.
        grid_size: n, where the policy's actions number n x n patches; None for locations.

    Raises:
        TypeError: no policy, or one that must see labels.
        ValueError: a policy that stops.
    """

    file_kind: ClassVar[str]
    stop = True

    def __init__(
        self, policy: Policy, sees: Sequence[str], *, grid_size: int | None = None
    ) -> None:
        check_goes_on(policy)
        self.policy = policy
        observed = observed_by(policy)
        extra = [name for name in sees if name in EXTRA_OBSERVATIONS]
        self.observe = tuple(dict.fromkeys([*observed, *extra]))
        self._shown = ("features", "hidden_state", *observed)
        self.grid_size = grid_size_of(policy, grid_size)

    @abc.abstractmethod
    def stops(self, observation: Observation) -> NDArray[np.bool_]:
        """Return which of n episodes end now, (n,) bool."""

    @abc.abstractmethod
    def _rule(self) -> tuple[dict[str, Any], nn.Module | None]:
        """Return the rule's configuration and its network, if it has one."""

    @property
    def _rule_cost(self) -> int:
        """Multiply-adds of asking the rule about one image."""
        return 0

    @property
    def multiply_adds(self) -> ChoiceCost:
        """Of choices for one image: the rule's, and the policy's of an episode that goes on."""
        first, later, _ = choice_cost(self.policy)
        return ChoiceCost(first + self._rule_cost, later + self._rule_cost, self._rule_cost)

    def predict(
        self,
        observation: Observation,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """Stop, or choose the next patches.

        Args:
            observation: batched, with what `observe` names.
            state: of the call before, or None.
            episode_start: (n,) bool, True where an episode is new.
            deterministic: passed on to the policy; the rule draws nothing.

        Returns:
            (n, 3) float32 in [-1, 1], (row, col, 1 to stop and -1 to go on), or (n,) int64 indices,
            grid_size ** 2 to stop; and the policy's state.
        """
        count = batch_size(observation)
        going = np.flatnonzero(~self.stops(observation))
        if self.grid_size is None:
            actions: NDArray[Any] = np.tile(np.array([0, 0, 1], np.float32), (count, 1))
        else:
            actions = np.full(count, self.grid_size**2)
        if not len(going):
            return actions, state
        # a model of Stable-Baselines3 refuses what it does not know
        observation = {name: observation[name] for name in self._shown if name in observation}
        every = len(going) == count
        if not every:
            observation = {name: value[going] for name, value in observation.items()}
            state = take_memory(state, going)
            episode_start = None if episode_start is None else np.asarray(episode_start)[going]
        seen = shown_as_trained(self.policy)(observation)
        looks, state = self.policy.predict(seen, state, episode_start, deterministic)
        if self.grid_size is None:
            actions[going] = np.column_stack([looks, np.full(len(going), -1.0)])
        else:
            actions[going] = looks
        if not every:
            check_memory(state, len(going))
            state = spread_memory(state, going, count)
        return actions, state

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rule and the policy as safetensors.

        Raises:
            ValueError: the policy is not a network of ours, so that it has no file.
            OSError: no room or no permission; a file that was at `path` stays.
        """
        policy = self.policy
        if not isinstance(policy, NetworkPolicy):
            names = [each.__name__ for each in NETWORK_POLICIES.values()]
            raise ValueError(
                f"only a rule around one of {names} can be saved, got {type(policy).__name__}"
            )
        config, rule = self._rule()
        inner: Any = policy.network.config
        described = {"kind": policy.file_kind, "config": dataclasses.asdict(inner)}
        parts = _parts(policy.network, rule)
        set_origin(parts, getattr(policy.network, "origin", None))
        save_module(path, self.file_kind, {**config, "policy": described}, parts)

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], seed: int = 0) -> Self:
        """Return a policy that `save` wrote.

        Args:
            name_or_path: a built-in name or a file.
            seed: of the policy's generator for samples.

        Raises:
            ValueError: neither a built-in name nor a file.
            TensorFileError: a damaged file, one that holds something else, or a configuration that
                cannot be.
        """
        made: list[Self] = []

        def make(config: dict[str, Any]) -> nn.Module:
            described = config.pop("policy")
            kind = NETWORK_POLICIES[described["kind"]]
            network = kind.network_class(kind.config_class(**described["config"]))
            made.append(cls._make(kind(network, seed), config))
            return _parts(network, made[0]._rule()[1])

        load_module(find_tensor_file("agents", name_or_path), cls.file_kind, make, "cpu")
        return made[0]

    @classmethod
    @abc.abstractmethod
    def _make(cls, policy: Policy, config: dict[str, Any]) -> Self:
        """Return it with a rule of a configuration that `_rule` returned, untrained."""


def check_goes_on(policy: object) -> None:
    """Check that something only says where to look.

    Raises:
        TypeError: no policy, or one that must see labels.
        ValueError: a policy that stops.
    """
    if not isinstance(policy, Policy):
        raise TypeError(
            f"{type(policy).__name__} is no policy that can do without labels: it needs a method "
            "predict(observation, state, episode_start, deterministic)"
        )
    if stops(policy):
        raise ValueError(
            f"{type(policy).__name__} already stops; give a policy that only says where to look"
        )


def _parts(policy: nn.Module, rule: nn.Module | None) -> nn.ModuleDict:
    return nn.ModuleDict({"policy": policy, **({} if rule is None else {"rule": rule})})


def look_up(observation: Observation, name: str) -> NDArray[Any]:
    """Return what an observation shows under a name.

    Raises:
        ValueError: nothing.
    """
    if name not in observation:
        raise ValueError(
            f"this policy sees {name!r}, which is not among the observations "
            f"{sorted(observation)}; make the environment with observe={(name,)}"
        )
    return np.asarray(observation[name])


class StopWhenSure(StoppingPolicy):
    """Stops once the largest probability reaches a threshold (paper, section 3.3).

    Unlike `exit_thresholds` of an environment it is part of the policy, and it may stop after the
    glance.

    Args:
        policy: says where to look.
        threshold: one probability for all looks, or one for each look t from 1 on, such as
            `gf_env.exit_thresholds` finds; infinity never stops. What is after the last of them
            has the last one's.
        grid_size: see `StoppingPolicy`.

    Raises:
        TypeError: see `StoppingPolicy`.
        ValueError: a policy that stops; no threshold, a negative one or NaN.
    """

    file_kind = "agents.StopWhenSure.v1"

    def __init__(
        self, policy: Policy, threshold: ArrayLike, *, grid_size: int | None = None
    ) -> None:
        thresholds = np.atleast_1d(np.asarray(threshold, np.float64))
        if thresholds.ndim != 1 or not thresholds.size or not (thresholds >= 0).all():
            raise ValueError(
                "threshold is a probability, 0 or more, or one for each look, or infinity for "
                f"never, got {threshold!r}"
            )
        sees = ("probabilities", STEP) if thresholds.size > 1 else ("probabilities",)
        super().__init__(policy, sees, grid_size=grid_size)
        self._thresholds = thresholds

    @override
    def stops(self, observation: Observation) -> NDArray[np.bool_]:
        sure = look_up(observation, "probabilities").max(1)
        if self._thresholds.size == 1:
            threshold = self._thresholds[0]
        else:
            looks = look_up(observation, STEP)[:, 0].astype(np.int64)
            threshold = self._thresholds[np.minimum(looks, len(self._thresholds)) - 1]
        reached: NDArray[np.bool_] = sure >= threshold
        return reached

    @override
    def _rule(self) -> tuple[dict[str, Any], None]:
        # JSON has no infinity
        values = [None if math.isinf(each) else each for each in self._thresholds.tolist()]
        return {"thresholds": values}, None

    @classmethod
    @override
    def _make(cls, policy: Policy, config: dict[str, Any]) -> Self:
        values = config["thresholds"]
        return cls(policy, [math.inf if each is None else each for each in values])
