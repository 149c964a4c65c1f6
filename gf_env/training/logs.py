"""TensorBoard logs of a training."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gf_env.training import processes

Log = Callable[[Mapping[str, float], int], None]
"""Called with metrics by name, and the gradient steps so far."""


@contextlib.contextmanager
def open_log(folder: Path, done: int) -> Iterator[Log]:
    """Open the log of a phase; beside the main process, which writes for all, it writes nothing.

    Args:
        folder: of the phase.
        done: gradient steps up to the checkpoint; what was logged after them is removed.
    """
    if not processes.is_main():
        yield lambda metrics, step: None
        return
    # takes a second to import, and only a training needs it
    from torch.utils.tensorboard import SummaryWriter

    def log(metrics: Mapping[str, float], step: int) -> None:
        for tag, value in metrics.items():
            writer.add_scalar(tag, value, step)

    with SummaryWriter(str(folder), purge_step=done + 1) as writer:
        yield log
