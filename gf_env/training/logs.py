"""TensorBoard logs of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gf_env.training import processes


class Writer(Protocol):
    """Writes metrics, as TensorBoard's `SummaryWriter` does."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write one metric."""
        ...


class _NoWriter:
    """Of processes beside the main one, which writes for all."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write nothing."""


@contextlib.contextmanager
def open_writer(folder: Path, done: int) -> Iterator[Writer]:
    """Open the log of a phase.

    Args:
        folder: of the phase.
        done: gradient steps up to the checkpoint; what was logged after them is removed.
    """
    if not processes.is_main():
        yield _NoWriter()
        return
    # takes a second to import, and only a training needs it
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=done + 1)
    try:
        yield writer
    finally:
        writer.close()
