"""The cost of a look: multiply-adds, counted on the modules as they run."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch


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


def count_multiply_adds(run: Callable[[], object]) -> int:
    """Return the multiply-adds that `run` performs in matrix products and convolutions."""
    # a quarter of a second to import, and saved networks have their costs with them
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    # the counter counts a multiplication and an addition as two
    flops: int = counter.get_total_flops()
    return flops // 2
