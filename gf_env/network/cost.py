"""The cost of a look: multiply-adds, counted on the modules as they run."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch

from gf_env.storage.files import short


class StepCost(NamedTuple):
    """Multiply-adds for one image.

    Attributes:
        steps: of each step: first the global encoder and what classifies after the glance, then
            the local encoder and the classifier. Further steps cost as much as the last one.
    """

    steps: tuple[int, ...]

    def cumulative(self, sequence_length: int) -> list[int]:
        """Return the sum after each of `sequence_length` steps."""
        beyond = max(0, sequence_length - len(self.steps))
        costs = (self.steps + self.steps[-1:] * beyond)[:sequence_length]
        return list(itertools.accumulate(costs))


def read_step_cost(steps: object, sequence_length: int) -> StepCost:
    """Return the cost that a file says: one to T whole numbers, 0 or more.

    Raises:
        ValueError: anything else.
    """
    listed = list(steps) if isinstance(steps, (list, tuple)) else []
    whole = all(type(each) is int and each >= 0 for each in listed)
    if not whole or not 1 <= len(listed) <= sequence_length:
        raise ValueError(
            f"multiply_adds must be one to {sequence_length} whole numbers, 0 or more, "
            f"got {short(steps)}"
        )
    return StepCost(tuple(listed))


def count_multiply_adds(run: Callable[[], object]) -> int:
    """Return the multiply-adds that `run` performs in matrix products and convolutions."""
    # a quarter of a second to import, and saved networks have their costs with them
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    # the counter counts a multiplication and an addition as two
    flops: int = counter.get_total_flops()
    return flops // 2
