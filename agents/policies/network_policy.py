"""What policies share that are a network: choosing for all episodes, its cost, and their files."""

import abc
import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from typing_extensions import Self

from gf_env.network.cost import count_multiply_adds
from gf_env.policy import ChoiceCost
from gf_env.storage.assets import find_tensor_file
from gf_env.storage.modules import load_module, save_module

Tensors = Mapping[str, torch.Tensor]
_Network = TypeVar("_Network", bound=nn.Module)


class NetworkPolicy(abc.ABC, Generic[_Network]):
    """A network as a `Policy`, which is saved with its configuration.

    Args:
        network: trained or not; its `config` is a dataclass. It is put into eval mode.
        seed: of the generator for samples.

    Attributes:
        file_kind: what its files say that they hold.
        network_class: of the network.
        config_class: of its configuration.
        network: as given.
        observe: extra observation keys that it sees.
        grid_size: n, where it chooses among n x n patches; None where it chooses locations.
        stop: whether one of its actions ends the episode.
        made_for: sizes of image and patch in pixels, for a policy that no others would suit.
    """

    file_kind: ClassVar[str]
    network_class: ClassVar[type[Any]]
    config_class: ClassVar[type[Any]]
    observe: tuple[str, ...] = ()
    grid_size: int | None = None
    stop: bool = False
    made_for: tuple[int, int] | None = None

    def __init__(self, network: _Network, seed: int = 0) -> None:
        self.network = network.eval()
        self._generator = torch.Generator().manual_seed(seed)

    @property
    @abc.abstractmethod
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the observations that it sees, by name, without the batch axis."""

    @abc.abstractmethod
    def initial_memory(self, count: int) -> torch.Tensor:
        """Return what it remembers before the first look, (count, m) float32 zeros."""

    @abc.abstractmethod
    def choose(
        self, seen: Tensors, memory: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the next patches of n episodes, on the network's device.

        Args:
            seen: (n, ...) float32 each, by name, as `shapes` has them.
            memory: (n, m) float32.
            generator: of samples; None for the likeliest actions.

        Returns:
            actions, as `predict` has them, and the memory after them.
        """

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @functools.cached_property
    def multiply_adds(self) -> int | ChoiceCost:
        """Of one choice for one image, a critic's included; counted when first asked for."""
        memory = self.initial_memory(1)
        return count_multiply_adds(lambda: self.choose(self._blank(), memory, None))

    def _blank(self) -> dict[str, torch.Tensor]:
        """Return what it sees of one image, all zeros."""
        return {
            name: torch.zeros(1, *shape, device=self.device) for name, shape in self.shapes.items()
        }

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
            observation: batched; what `shapes` names is used.
            state: (n, m) of the call before, or None.
            episode_start: (n,) bool; the state of those rows is cleared.
            deterministic: the likeliest actions instead of samples.

        Returns:
            actions, (n, 2) float32 in [-1, 1] or (n,) int64 grid indices, or with `stop` those of
            `gf_env.envs.actions` that may stop; and the state after them, (n, m) float32.

        Raises:
            ValueError: an observation that is missing or of another shape than the network was
                made for.
        """
        seen = self._seen(observation)
        count = len(next(iter(seen.values())))
        memory = self.initial_memory(count)
        if state is not None:
            new = np.zeros(count, np.bool_) if episode_start is None else episode_start
            memory = torch.from_numpy(np.asarray(state) * ~new[:, None]).to(memory)
        actions, memory = self.choose(seen, memory, None if deterministic else self._generator)
        return actions.cpu().numpy(), memory.cpu().numpy()

    def _seen(self, observation: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
        """Return what it sees of an observation, on its device."""
        self.check_shown(observation)
        return {
            name: torch.from_numpy(np.asarray(observation[name])).to(self.device)
            for name in self.shapes
        }

    def check_shown(self, shown: Mapping[str, Any]) -> None:
        """Check that what is shown, arrays or tensors by name, is what the network was made for.

        Raises:
            ValueError: something is missing or of another shape.
        """
        for name, shape in self.shapes.items():
            if name not in shown:
                raise ValueError(
                    f"this policy sees {name!r}, which is not among the observations "
                    f"{sorted(shown)}; make the environment with observe={self.observe}"
                )
            found = tuple(shown[name].shape)
            if found[1:] != shape:
                expected = ", ".join(map(str, ("n", *shape)))
                raise ValueError(f"this policy sees {name} of shape ({expected}), got {found}")

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write weights and configuration as safetensors.

        Args:
            path: where to.
            half: write float32 as float16, in half the room; a policy that is loaded computes in
                float32 again.

        Raises:
            OSError: no room or no permission; a file that was at `path` stays.
            ValueError: some weights are too large for float16.
        """
        config: Any = self.network.config
        save_module(path, self.file_kind, dataclasses.asdict(config), self.network, half=half)

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str], seed: int = 0) -> Self:
        """Return a policy.

        Args:
            name_or_path: a built-in name or a file written by `save`.
            seed: of the generator for samples.

        Raises:
            ValueError: neither a built-in name nor a file.
            TensorFileError: a damaged file, one that holds something else, or a configuration or
                weights that cannot be.
        """
        path = find_tensor_file("agents", name_or_path)

        def make(config: dict[str, Any]) -> _Network:
            network: _Network = cls.network_class(cls.config_class(**config))
            return network

        return cls(load_module(path, cls.file_kind, make, "cpu"), seed)
