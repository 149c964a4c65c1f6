"""The map, see `agents.policies.map_network`, with what learners set of it."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from typing_extensions import override

from agents.learners.architectures.base import Architecture, shown
from agents.policies.map_network import MapConfig, MapNetwork
from agents.policies.map_policy import MapPolicy
from gf_env.configuration import configuration
from gf_env.envs.task import Task
from gf_env.training.seeding import seeded_weights

_IMAGES, _AT_ONCE = 3000, 500
"""That principal components are of, and how many are looked at at a time."""


@configuration
class Map(Architecture):
    """Settings that all learners have of it."""

    components: NonNegativeInt = 128
    """Principal components that the policy sees feature maps by, those of looks at random patches;
    not more than there are numbers in one. 0: it sees them as they are."""
    hidden_size: PositiveInt = 512
    """Of the hidden layer between the glance and the map."""
    evidence_size: PositiveInt = 256
    """Of the hidden layer between a look and its evidence."""
    query_size: NonNegativeInt = 0
    """Of the keys of places and of the query that the classifier's state makes, for tasks in which
    a look tells where to go next; 0: neither."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """In the hidden layers of glance and looks, in training."""

    suits: ClassVar[Mapping[str, Any]] = {
        "num_envs": 1024,
        "learning_rate": 1e-3,
        "gamma": 1.0,
        "ent_coef": 0.01,
        "final_ent_coef": 0.0,
        "update_epochs": 3,
        "num_minibatches": 8,
        "weight_decay": 0.05,
    }

    @override
    def new_policy(self, task: Task, seed: int) -> MapPolicy:
        grid_size = task.actions.require_grid("a map lays what looks say on the patches of a grid")
        channels, height, width = shown(task, "features")
        (state_size,) = shown(task, "hidden_state")
        config = MapConfig(
            (channels, height, width),
            state_size,
            task.rules.sequence_length - 1,
            grid_size,
            min(self.components, channels * height * width),
            self.hidden_size,
            self.evidence_size,
            self.query_size,
            self.dropout,
            task.actions.stop,
        )
        with seeded_weights(seed):
            network = MapNetwork(config).to(task.device)
        if self.components:
            network.fit_components(*_feature_maps(task, grid_size**2, seed))
        return MapPolicy(network, seed)


def _feature_maps(task: Task, patches: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return feature maps of glances, and of looks at random patches, (m, channels, h, w) each.

    Args:
        task: what is looked at, with grid actions.
        patches: how many there are.
        seed: of images and patches.
    """
    rng = np.random.default_rng(seed)
    indices = rng.permutation(len(task.dataset))[:_IMAGES]
    glances, looks = [], []
    for rows in np.split(indices, range(_AT_ONCE, len(indices), _AT_ONCE)):
        state = task.start(rows)
        choices = torch.from_numpy(rng.integers(patches, size=len(rows))).to(task.device)
        after, _, _ = task.step(state, task.actions.look(choices))
        glances.append(state.features)
        looks.append(after.features)
    return torch.cat(glances), torch.cat(looks)
