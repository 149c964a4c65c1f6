"""A map of a grid's patches, on which the glance and each look say where to look next.

The paper's policy keeps what it saw in a GRU (section 3.1) and must learn for each place anew what
to make of it. Here the logits of all n x n patches are a sum: of what the glance says, of what each
look so far says of the places around it, laid on the map where that look was, and of how well a
place fits what the classifier knows, by key and query. So what a look says of its surroundings is
learned once for all places, and that a place which showed nothing is not looked at again comes out
of rewards by itself. Only a grid has places to lay evidence on: with continuous locations a bank or
a lattice takes looks to its patches anyway, and a grid says which.
"""

import math
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import nn
from typing_extensions import override

from agents.policies.actor_critic import ActorCritic
from agents.policies.actors import FIRST_STOP_LOGIT, PatchActor, StoppingPatchActor
from agents.policies.network_policy import Tensors
from gf_env.configuration import configuration
from gf_env.envs.observations import newest_patch


@configuration
class MapConfig:
    """Everything that is needed to build a policy anew."""

    feature_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """(channels, h, w) of feature maps."""
    state_size: PositiveInt
    """H, of the classifier's state."""
    decisions: PositiveInt
    """T - 1 looks after the glance."""
    grid_size: PositiveInt
    """n for n x n patches to choose from."""
    components: NonNegativeInt = 128
    """Principal components that it sees feature maps by; 0: it sees them as they are."""
    hidden_size: PositiveInt = 512
    """Of the hidden layer between the glance and the map."""
    evidence_size: PositiveInt = 256
    """Of the hidden layer between a look and its evidence."""
    query_size: NonNegativeInt = 0
    """Of the keys of places and of the query; 0: neither."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """In both hidden layers, in training."""
    stop: bool = False
    """Whether one of its actions ends the episode."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of what it sees, by name, without the batch axis."""
        return {
            "features": self.feature_shape,
            "hidden_state": (self.state_size,),
            "locations": (self.decisions, 2),
            "step": (1,),
        }


class PrincipalComponents(nn.Module):
    """Feature maps by their principal components, which are found once and not trained.

    Args:
        features: numbers in a feature map.
        components: k; before `fit` they are the first k of those numbers.
    """

    mean: torch.Tensor
    axes: torch.Tensor

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("axes", torch.eye(features, components))

    @torch.no_grad()
    def fit(self, features: torch.Tensor) -> None:
        """Find them, scaled so that on average each has a variance of 1.

        Args:
            features: (m, ...), samples of feature maps.
        """
        flat = features.flatten(1)
        self.mean.copy_(flat.mean(0))
        _, spread, axes = torch.linalg.svd(flat - self.mean, full_matrices=False)
        count = min(len(axes), self.axes.shape[1])
        variance = spread.square().sum() / len(flat)
        scale = (count / variance.clamp_min(1e-12)).sqrt()
        self.axes.zero_()[:, :count] = axes[:count].T * scale

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, components) for feature maps (n, ...)."""
        return (features.flatten(1) - self.mean) @ self.axes


def surroundings(grid_size: int) -> torch.Tensor:
    """Return where each patch lies in the window around each other one.

    Args:
        grid_size: n.

    Returns:
        (n * n, n * n) int64 in [0, (2 n - 1)^2): for a patch that was looked at, in the window of
        (2 n - 1) x (2 n - 1) places with it in the middle, the place of every patch; all row-major.
    """
    along = torch.arange(grid_size) - torch.arange(grid_size)[:, None] + grid_size - 1
    rows = along[:, None, :, None] * (2 * grid_size - 1)
    return (rows + along[None, :, None, :]).reshape(grid_size**2, grid_size**2)


class MapNetwork(ActorCritic):
    """The map, its sources, and a critic that sees what the newest look's layers see.

    Its memory has the logits of patches, then the keys of places.

    Args:
        config: see `MapConfig`.
    """

    around: torch.Tensor

    def __init__(self, config: MapConfig) -> None:
        super().__init__()
        self.config = config
        patches, features = config.grid_size**2, math.prod(config.feature_shape)
        hidden, evidence = config.hidden_size, config.evidence_size
        # two encoders made them, so they have little in common
        self.glance_features = _reduced(features, config.components)
        self.look_features = _reduced(features, config.components)
        features = config.components or features
        self.glance = nn.Linear(features, hidden)
        self.glance_map = _silent(nn.Linear(hidden, patches))
        self.look = nn.Linear(features + config.state_size, evidence)
        self.look_map = _silent(nn.Linear(evidence, (2 * config.grid_size - 1) ** 2))
        # of each the value and the logit of stopping
        self.glance_worth = _silent(nn.Linear(hidden, 2))
        self.look_worth = _silent(nn.Linear(evidence, 2))
        self.step_worth = nn.Parameter(torch.zeros(config.decisions, 2))
        self.keys = self.query = None
        if config.query_size:
            self.keys = nn.Linear(hidden, patches * config.query_size)
            known = config.state_size + config.decisions
            self.query = _silent(nn.Linear(known, config.query_size))
        self.actor = StoppingPatchActor() if config.stop else PatchActor()
        self.register_buffer("around", surroundings(config.grid_size), persistent=False)

    def fit_components(self, glances: torch.Tensor, looks: torch.Tensor) -> None:
        """Find the principal components of feature maps, (m, channels, h, w) of each kind."""
        for each, features in ((self.glance_features, glances), (self.look_features, looks)):
            if isinstance(each, PrincipalComponents):
                each.fit(features)

    @override
    def initial_state(self, count: int) -> torch.Tensor:
        return self.step_worth.new_zeros(
            count, self.config.grid_size**2 * (1 + self.config.query_size)
        )

    @override
    def perceive(
        self, seen: Tensors, generator: torch.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        features, first = seen["features"], seen["step"] == 1
        # new episodes as a rule begin together
        if first.all():
            features = self.glance_features(features)
        elif not first.any():
            features = self.look_features(features)
        else:
            features = self.glance_features(features).where(first, self.look_features(features))
        perceived = {
            "features": features,
            "state": seen["hidden_state"],
            "step": seen["step"][:, 0].long(),
            "patch": newest_patch(seen["locations"], seen["step"], self.config.grid_size),
        }
        if self.config.dropout and generator is not None:
            # drawn once for a look, so that a replayed policy is the one that acted
            width = max(self.config.hidden_size, self.config.evidence_size)
            draws = torch.rand(len(features), width, generator=generator, device=generator.device)
            perceived["kept"] = draws.to(features.device) >= self.config.dropout
        return perceived

    @override
    def act(
        self, perceived: Tensors, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        step, patches = perceived["step"], self.config.grid_size**2
        logits, keys = memory[:, :patches], memory[:, patches:]
        worth = self.step_worth[(step - 1).clamp(max=self.config.decisions - 1)]
        new, others = (step == 1).nonzero()[:, 0], (step > 1).nonzero()[:, 0]
        if len(new):
            hidden, drawn, of_glance = self._glance(_at(perceived, new))
            logits = logits.index_copy(0, new, drawn)
            keys = keys if self.keys is None else keys.index_copy(0, new, self.keys(hidden))
            worth = worth.index_add(0, new, of_glance)
        if len(others):
            evidence, of_looks = self._look(_at(perceived, others))
            logits = logits.index_add(0, others, evidence)
            worth = worth.index_add(0, others, of_looks)
        fitted = self._fit(logits[None], keys, perceived["state"][None], step[None])[0]
        choice = self._choose(fitted, worth)
        return choice, worth[:, 0], torch.cat([logits, keys], dim=1)

    @override
    def replay(self, perceived: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        length, count = perceived["step"].shape
        hidden, drawn, of_glance = self._glance(_at(perceived, 0))
        later = {name: each[1:].flatten(0, 1) for name, each in perceived.items()}
        evidence, of_looks = self._look(later)
        evidence = evidence.view(length - 1, *drawn.shape).cumsum(0)
        logits = torch.cat([drawn[None], drawn + evidence])  # (A, n, patches)
        worth = torch.cat([of_glance[None], of_looks.view(length - 1, count, 2)])
        worth = worth + self.step_worth[:length, None]
        keys = drawn[:, :0] if self.keys is None else self.keys(hidden)
        fitted = self._fit(logits, keys, perceived["state"], perceived["step"])
        return self._choose(fitted, worth), worth[..., 0]

    def _glance(self, perceived: Tensors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what n glances say: hidden, logits (n, patches), worth (n, 2)."""
        hidden = self._drop(self.glance(perceived["features"]).relu(), perceived)
        return hidden, self.glance_map(hidden), self.glance_worth(hidden)

    def _look(self, perceived: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what n looks say: on the logits (n, patches), and of the worth (n, 2)."""
        known = torch.cat([perceived["features"], perceived["state"]], dim=1)
        hidden = self._drop(self.look(known).relu(), perceived)
        evidence = self.look_map(hidden).gather(1, self.around[perceived["patch"]])
        return evidence, self.look_worth(hidden)

    def _drop(self, hidden: torch.Tensor, perceived: Tensors) -> torch.Tensor:
        """Return hidden units (n, size), those that are not kept in training as 0."""
        if "kept" not in perceived:
            return hidden
        kept = perceived["kept"][:, : hidden.shape[1]]
        scale: float = 1 - self.config.dropout
        return hidden * (kept / scale)

    def _fit(
        self, logits: torch.Tensor, keys: torch.Tensor, state: torch.Tensor, step: torch.Tensor
    ) -> torch.Tensor:
        """Return logits (A, n, patches) with how well places fit what the classifier knows.

        Args:
            logits: (A, n, patches).
            keys: (n, patches * query_size).
            state: (A, n, H).
            step: (A, n) int64.
        """
        if self.query is None:
            return logits
        decisions = self.config.decisions
        steps = nn.functional.one_hot((step - 1).clamp(max=decisions - 1), decisions)
        query = self.query(torch.cat([state, steps.to(state)], dim=-1))
        size = self.config.query_size
        places = keys.view(len(keys), -1, size)
        return logits + torch.einsum("npq,anq->anp", places, query) / math.sqrt(size)

    def _choose(self, logits: torch.Tensor, worth: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of actions for logits (..., patches) and worth (..., 2)."""
        choice: torch.Tensor = self.actor(logits)
        if isinstance(self.actor, StoppingPatchActor):
            choice = self.actor.with_stop(choice, worth[..., 1:] + FIRST_STOP_LOGIT)
        return choice


def _at(perceived: Tensors, rows: torch.Tensor | int) -> dict[str, torch.Tensor]:
    """Return what was perceived at some rows of the first axis, by name."""
    return {name: each[rows] for name, each in perceived.items()}


def _reduced(features: int, components: int) -> nn.Module:
    """Return what makes feature maps vectors, (n, components or features)."""
    return PrincipalComponents(features, components) if components else nn.Flatten()


def _silent(linear: nn.Linear) -> nn.Linear:
    """Make a layer say nothing at first."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
