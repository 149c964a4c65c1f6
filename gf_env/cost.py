"""What a look costs: multiply-adds, counted on the modules as they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from gf_env.network import GlanceFocusNet


class StepCost(NamedTuple):
    """Multiply-adds for one image.

    Attributes:
        glance: of step 1, global encoder and classifier.
        focus: of every later step, local encoder and classifier.
    """

    glance: int
    focus: int

    def cumulative(self, sequence_length: int) -> list[int]:
        """Return the sum after each of `sequence_length` steps."""
        return [self.glance + step * self.focus for step in range(sequence_length)]


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
    hidden = network.classifier.initial_state(image)
    training = network.training
    network.eval()  # or batch normalisation would learn from the blank image
    try:
        return StepCost(
            glance=count_multiply_adds(lambda: network.glance(image)),
            focus=count_multiply_adds(lambda: network.focus(image, location, hidden)),
        )
    finally:
        network.train(training)
