"""TensorBoard logs of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gf_env.training import processes


class Writer(Protocol):
    """Where figures go, as TensorBoard's `SummaryWriter` takes them."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Take in one figure."""
        ...


class _Nowhere:
    """For processes beside the main one, which writes for all."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Drop it."""


@contextlib.contextmanager
def open_writer(folder: Path, done: int) -> Iterator[Writer]:
    """Open the log of a phase.

    Args:
        folder: of the phase.
        done: steps that are behind; what a stopped training logged after them is taken back.
    """
    if not processes.is_main():
        yield _Nowhere()
        return
    # a second to import, which only a training needs
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=done + 1)
    try:
        yield writer
    finally:
        writer.close()
