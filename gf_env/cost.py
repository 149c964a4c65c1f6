"""What a look costs: multiply-adds, counted on the modules as they run."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from gf_env.network import GlanceFocusNet


class StepCost(NamedTuple):
    """Multiply-adds for one image.

    Attributes:
        steps: of each step: first the global encoder and what classifies after the glance, then
            the local encoder and the classifier. Steps beyond cost what the last one does.
    """

    steps: tuple[int, ...]

    @property
    def glance(self) -> int:
        """Of step 1."""
        return self.steps[0]

    @property
    def focus(self) -> int:
        """Of step 2; that of later ones grows only in a cascaded classifier."""
        return self.steps[1]

    def cumulative(self, sequence_length: int, policy: int = 0) -> list[int]:
        """Return the sum after each of `sequence_length` steps.

        Args:
            sequence_length: T.
            policy: multiply-adds of one choice of a patch; after step t there were t - 1.
        """
        beyond = max(0, sequence_length - len(self.steps))
        costs = (self.steps + self.steps[-1:] * beyond)[:sequence_length]
        return [spent + step * policy for step, spent in enumerate(itertools.accumulate(costs))]


def count_multiply_adds(run: Callable[[], object]) -> int:
    """Return the multiply-adds that `run` performs in matrix products and convolutions."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    # the counter takes a multiplication and an addition as two
    flops: int = counter.get_total_flops()
    return flops // 2


def count_step_cost(network: GlanceFocusNet) -> StepCost:
    """Return what the network's steps cost for one image; the policy's share is not in it."""
    config = network.config
    size = config.image_size
    image = torch.zeros(1, config.channels, size, size, device=network.device)
    location = torch.zeros(1, 2, device=image.device)
    training = network.training
    network.eval()  # or batch normalisation would learn from the blank image
    try:
        with torch.no_grad():
            hidden = [network.glance(image).hidden]
            for _ in range(config.sequence_length - 2):
                hidden.append(network.focus(image, location, hidden[-1]).hidden)
        looks = [functools.partial(network.focus, image, location, state) for state in hidden]
        glance = count_multiply_adds(lambda: network.glance(image))
        return StepCost((glance, *map(count_multiply_adds, looks)))
    finally:
        network.train(training)
