"""What chooses a patch from what a policy's network knows: a Gaussian, or a choice on a grid.

Both have the same methods, for locations (..., 2) or for indices (...) of a grid's patches.

Not on `torch.distributions`: its samples take no generator, and its densities made the gradient
steps of recurrent PPO 4 to 5% slower (Normal takes a logarithm of the exponential of `log_std`,
Categorical normalises log-probabilities a second time). The tests compare ours with them.
"""

import math

import torch
from torch import nn

from gf_env.geometry import location_to_action


class GaussianActor(nn.Module):
    """Chooses locations: a Gaussian whose mean depends on what was seen, its width does not.

    Samples are not clipped, so that they have the density that `log_prob` says; whoever looks
    there clips them.

    Args:
        size: of its input.
        std: first standard deviation of both axes.
    """

    def __init__(self, size: int, std: float) -> None:
        super().__init__()
        self.linear = _small_linear(size, 2)
        self.log_std = nn.Parameter(torch.full((2,), math.log(std)))

    def forward(self, thought: torch.Tensor) -> torch.Tensor:
        """Return mean locations (..., 2) in [0, 1] for (..., size)."""
        mean: torch.Tensor = self.linear(thought).sigmoid()
        return mean

    def likeliest(self, mean: torch.Tensor) -> torch.Tensor:
        """Return the mean itself."""
        return mean

    def sample(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return locations (..., 2) around the mean, some of them outside [0, 1]."""
        noise = torch.randn(mean.shape, generator=generator, device=generator.device)
        return mean + self.log_std.exp() * noise.to(mean.device)

    def log_prob(self, mean: torch.Tensor, locations: torch.Tensor) -> torch.Tensor:
        """Return the log-density (...) of locations (..., 2)."""
        distance = ((locations - mean) / self.log_std.exp()).square()
        return (-0.5 * distance - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, mean: torch.Tensor) -> torch.Tensor:
        """Return the differential entropy (...)."""
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum().expand(mean.shape[:-1])

    def to_actions(self, locations: torch.Tensor) -> torch.Tensor:
        """Return (..., 2) in [-1, 1] for locations (..., 2), clipped to [0, 1]."""
        return location_to_action(locations.clamp(0, 1))


class GridActor(nn.Module):
    """Chooses one of k patches.

    Args:
        size: of its input.
        count: k.
    """

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.linear = _small_linear(size, count)

    def forward(self, thought: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities (..., k) for (..., size)."""
        log_probs: torch.Tensor = self.linear(thought).log_softmax(-1)
        return log_probs

    def likeliest(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Return the likeliest indices (...) int64."""
        return log_probs.argmax(-1)

    def sample(self, log_probs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return indices (...) int64."""
        # of exponential clocks with rates p, each is the first to ring with probability p
        clocks = torch.empty(log_probs.shape, device=generator.device)
        clocks.exponential_(generator=generator)
        return (log_probs - clocks.log().to(log_probs.device)).argmax(-1)

    def log_prob(self, log_probs: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Return the log-probability (...) of indices (...)."""
        return log_probs.gather(-1, indices[..., None])[..., 0]

    def entropy(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Return the entropy (...)."""
        return -(log_probs.exp() * log_probs).sum(-1)

    def to_actions(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the indices themselves."""
        return indices


Actor = GaussianActor | GridActor
"""By thoughts (..., size) it returns a distribution, the `choice` of its other methods."""


def _small_linear(size: int, outputs: int) -> nn.Linear:
    """Return a layer that says nearly the same of everything, so that no action is ruled out."""
    linear = nn.Linear(size, outputs)
    nn.init.orthogonal_(linear.weight, 0.01)
    nn.init.zeros_(linear.bias)
    return linear
