"""Batches of episodes that are kept, so that gradient steps can be taken on them again."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch

_Batch = TypeVar("_Batch", bound=Any)  # a NamedTuple of tensors and dicts of them


class KeptBatches(Generic[_Batch]):
    """The last batches, the newest among them.

    Args:
        kind: of a batch, a NamedTuple of tensors and of dicts of tensors.
        most: how many are kept.
    """

    def __init__(self, kind: type[_Batch], most: int) -> None:
        self._kind, self._most = kind, most
        self._batches: list[_Batch] = []

    def add(self, batch: _Batch) -> None:
        """Keep a batch; the oldest goes where there are too many."""
        self._batches = [*self._batches, batch][-self._most :]

    def drawn(self, count: int, generator: torch.Generator) -> Iterator[_Batch]:
        """Yield the newest batch, then others at random, `count` in all."""
        numbers = torch.randint(
            len(self._batches), (count - 1,), generator=generator, device=generator.device
        )
        for number in (-1, *numbers.tolist()):
            yield self._batches[number]

    def state(self) -> list[dict[str, Any]]:
        """Return them, as `save_state` takes them."""
        return [each._asdict() for each in self._batches]

    def load_state(self, state: list[dict[str, Any]], device: torch.device) -> None:
        """Restore them, on a device."""
        self._batches = [self._kind(**_on(device, each)) for each in state]


def _on(device: torch.device, kept: dict[str, Any]) -> dict[str, Any]:
    """Return tensors by name, and such dicts among them, on a device."""
    return {
        name: _on(device, each) if isinstance(each, dict) else each.to(device)
        for name, each in kept.items()
    }
