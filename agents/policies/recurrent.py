"""The recurrent network as a `Policy`."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.policies.base import carried_memory, seen_by
from agents.policies.recurrent_network import RecurrentPolicyConfig, RecurrentPolicyNetwork
from gf_env.geometry import location_to_action
from gf_env.network.cost import count_multiply_adds
from gf_env.storage.assets import find_tensor_file
from gf_env.storage.tensors import load_into, load_tensors, save_tensors

FILE_KIND = "agents.RecurrentPolicy.v1"


class RecurrentPolicy:
    """The recurrent network as a `Policy`.

    Args:
        network: trained or not.
        seed: of the generator for samples.

    Attributes:
        observe: extra observation keys that it sees.
        grid_size: n, where it chooses among n x n patches; None where it chooses locations.
    """

    def __init__(self, network: RecurrentPolicyNetwork, seed: int = 0) -> None:
        self.network = network
        self.observe = network.observe
        self.grid_size = network.config.grid_size
        self._generator = torch.Generator().manual_seed(seed)

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Of one choice for one image, the critic's included; counted when first asked for."""
        network = self.network
        seen = {
            name: torch.zeros(1, *shape, device=network.device)
            for name, shape in network.config.shapes.items()
        }
        return count_multiply_adds(lambda: network(seen, network.initial_state(1)))

    @torch.no_grad()
    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: NDArray[np.float32] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Choose the next patches.

        Args:
            observation: batched; what the network's configuration has shapes of is used.
            state: of the call before, or None.
            episode_start: (n,) bool; the state of those rows is cleared.
            deterministic: the likeliest action instead of a sample.

        Returns:
            actions, (n, 2) float32 in [-1, 1] or (n,) int64 grid indices, and the state after
            them, (n, m), as `RecurrentPolicyNetwork.initial_state` has it.

        Raises:
            ValueError: an observation that is missing or of another shape than the network was
                made for.
        """
        seen = seen_by(observation, self.network.config.shapes, self.observe, self.network.device)
        fresh = self.network.initial_state(len(next(iter(seen.values()))))
        memory = carried_memory(fresh, state, episode_start)
        choice, _, memory = self.network(seen, memory)
        actor = self.network.actor
        actions = (
            actor.likeliest(choice) if deterministic else actor.sample(choice, self._generator)
        )
        if self.grid_size is None:
            actions = location_to_action(actions.clamp(0, 1))
        return actions.cpu().numpy(), memory.cpu().numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration as safetensors.

        Raises:
            OSError: no room or no permission; a file that was at `path` stays.
        """
        config = dataclasses.asdict(self.network.config)
        save_tensors(path, FILE_KIND, config, self.network.state_dict())

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], seed: int = 0) -> RecurrentPolicy:
        """Return a policy.

        Args:
            name_or_path: a built-in name or a file written by `save`.
            seed: of the generator for samples.

        Raises:
            ValueError: neither a built-in name nor a file.
            TensorFileError: a damaged file, or one that holds something else.
        """
        path = find_tensor_file("agents", name_or_path)
        config, tensors = load_tensors(path, FILE_KIND)
        network = RecurrentPolicyNetwork(RecurrentPolicyConfig(**config))
        load_into(network, tensors, path)
        return cls(network, seed)
