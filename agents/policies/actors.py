"""What chooses a patch from what a policy's network knows: a Gaussian, or a choice on a grid.

Both have the same methods, for locations (..., 2) or for indices (...) of a grid's patches. Two
more also choose whether to look at all. Theirs are two questions: whether to stop has a probability
of its own, and where to look is what the first two would choose. So the likeliest action stops
where that is likelier than all looks together, not than each of many patches, and being surer of
where to look makes stopping no rarer. The paper's policy cannot stop (section 3.3 has thresholds
for that). In DT-RAM (Li et al. 2017, arXiv 1703.10332) a Bernoulli variable of its own stops, too.

Not on `torch.distributions`: its samples take no generator, and its densities made the gradient
steps of recurrent PPO 4 to 5% slower (Normal takes a logarithm of the exponential of `log_std`,
Categorical normalises log-probabilities a second time). The tests compare ours with them.
"""

import math

import torch
from torch import nn
from typing_extensions import override

from gf_env.geometry import location_to_action

FIRST_STOP = 1 / 32
"""Probability with which an untrained policy stops, whatever it sees and whatever its actions are.

It is low because the looks of an untrained policy gain little: one that stops often learns that
looking does not pay before it has learned to look. It is not lower because what is not tried is not
learned: each action is a stop in 8 of the usual 256 episodes.
"""
FIRST_STOP_LOGIT = math.log(FIRST_STOP / (1 - FIRST_STOP))
RULED_OUT = 1e4
"""What the logits of choices that are ruled out are lowered by; finite, so that nothing that is
multiplied by a probability of 0 becomes NaN."""


class GaussianActor(nn.Module):
    """Chooses locations: a Gaussian whose mean depends on what was seen, its width does not.

    Samples are not clipped, so that they have the density that `log_prob` says; whoever looks
    there clips them.

    Args:
        size: of its input.
        std: first standard deviation of both axes.

    Attributes:
        log_std: (2,) float32, logarithms of the standard deviations.
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


class PatchActor(nn.Module):
    """Chooses one of k patches, by logits that it is given.

    Attributes:
        log_std: None: its choices have no width.
    """

    log_std: None = None

    def forward(self, logits: torch.Tensor, ruled_out: torch.Tensor | None = None) -> torch.Tensor:
        """Return log-probabilities of all actions, (..., k).

        Args:
            logits: (..., k).
            ruled_out: (..., k) bool, patches that are not to be chosen; None: none.
        """
        if ruled_out is not None:
            logits = logits - RULED_OUT * ruled_out
        return logits.log_softmax(-1)

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


class GridActor(PatchActor):
    """Chooses one of k patches by what a network thinks.

    Args:
        size: of its input.
        count: k.
    """

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.linear = _small_linear(size, count)

    @override
    def forward(self, thought: torch.Tensor, ruled_out: torch.Tensor | None = None) -> torch.Tensor:
        """Return log-probabilities of all actions, (..., k), for thoughts (..., size)."""
        return super().forward(self.linear(thought), ruled_out)


class StoppingActor(nn.Module):
    """Chooses whether to stop, and if not, a location as a `GaussianActor` does.

    Its choices are (..., 3): row, column, and a number above 0 where it stops. A choice to stop has
    a probability, the others a density.

    Args:
        size: of its input.
        std: first standard deviation of both axes.
    """

    def __init__(self, size: int, std: float) -> None:
        super().__init__()
        self.stop = _stop_linear(size)
        self.look = GaussianActor(size, std)

    @property
    def log_std(self) -> nn.Parameter:
        """(2,) float32, logarithms of the locations' standard deviations."""
        return self.look.log_std

    def forward(self, thought: torch.Tensor) -> torch.Tensor:
        """Return mean locations and the logit of stopping, (..., 3), for (..., size)."""
        return torch.cat([self.look(thought), self.stop(thought)], dim=-1)

    def likeliest(self, choice: torch.Tensor) -> torch.Tensor:
        """Return the mean itself, and a stop where it is likelier than all looks together."""
        return choice

    def sample(self, choice: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return choices (..., 3), their last number 1 or -1."""
        locations = self.look.sample(choice[..., :2], generator)
        draws = torch.rand(choice.shape[:-1], generator=generator, device=generator.device)
        stop = draws.to(choice.device) < choice[..., 2].sigmoid()
        return torch.cat([locations, _sign(stop)[..., None]], dim=-1)

    def log_prob(self, choice: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return log P(stop), or log P(go on) and the log-density, (...) of choices (..., 3)."""
        stop, go_on = _log_probs_of_stop(choice[..., 2])
        density = self.look.log_prob(choice[..., :2], chosen[..., :2])
        return torch.where(chosen[..., 2] > 0, stop, go_on + density)

    def entropy(self, choice: torch.Tensor) -> torch.Tensor:
        """Return the entropy of whether to stop, and where it goes on that of a location, (...)."""
        stop, go_on = _log_probs_of_stop(choice[..., 2])
        whether = -(stop.exp() * stop + go_on.exp() * go_on)
        return whether + go_on.exp() * self.look.entropy(choice[..., :2])

    def to_actions(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return (..., 3): (row, col) in [-1, 1], and 1 to stop or -1."""
        actions = self.look.to_actions(chosen[..., :2])
        return torch.cat([actions, _sign(chosen[..., 2:] > 0)], dim=-1)


class StoppingPatchActor(PatchActor):
    """Chooses whether to stop, and if not, one of k patches; the action after the last stops."""

    def with_stop(self, patches: torch.Tensor, logit: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities of all actions, (..., k + 1).

        Args:
            patches: (..., k), log-probabilities of patches where it does not stop.
            logit: (..., 1), of stopping.
        """
        stop, go_on = _log_probs_of_stop(logit)
        return torch.cat([patches + go_on, stop], dim=-1)

    @override
    def likeliest(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Return the likeliest patch, or k where stopping is likelier than all looks together."""
        patches, stop = log_probs[..., :-1], log_probs[..., -1]
        return torch.where(stop > math.log(0.5), patches.shape[-1], patches.argmax(-1))


class StoppingGridActor(StoppingPatchActor, GridActor):
    """Chooses whether to stop and among k patches by what a network thinks.

    Args:
        size: of its input.
        count: k.
    """

    def __init__(self, size: int, count: int) -> None:
        super().__init__(size, count)
        self.stop = _stop_linear(size)

    @override
    def forward(self, thought: torch.Tensor, ruled_out: torch.Tensor | None = None) -> torch.Tensor:
        """Return log-probabilities of all actions, (..., k + 1); see `GridActor.forward`."""
        return self.with_stop(super().forward(thought, ruled_out), self.stop(thought))


Actor = GaussianActor | GridActor | StoppingActor
"""By thoughts (..., size) it returns a distribution, the `choice` of its other methods."""


def make_actor(size: int, grid_size: int | None, std: float, *, stop: bool) -> Actor:
    """Return the actor for a kind of action.

    Args:
        size: of its input.
        grid_size: n for n x n patches; None for locations.
        std: first standard deviation of locations.
        stop: whether one of the actions ends the episode.
    """
    if grid_size is None:
        return StoppingActor(size, std) if stop else GaussianActor(size, std)
    count = grid_size**2
    return StoppingGridActor(size, count) if stop else GridActor(size, count)


def _log_probs_of_stop(logit: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logarithms of P(stop) and P(go on), both of the logit's shape."""
    return nn.functional.logsigmoid(logit), nn.functional.logsigmoid(-logit)


def _sign(stop: torch.Tensor) -> torch.Tensor:
    """Return 1 for True and -1 for False."""
    return stop.float() * 2 - 1


def _small_linear(size: int, outputs: int) -> nn.Linear:
    """Return a layer that says nearly the same of everything, so that no action is ruled out."""
    linear = nn.Linear(size, outputs)
    nn.init.orthogonal_(linear.weight, 0.01)
    nn.init.zeros_(linear.bias)
    return linear


def _stop_linear(size: int) -> nn.Linear:
    """Return a layer for the logit of stopping, which begins at `FIRST_STOP`."""
    linear = _small_linear(size, 1)
    nn.init.constant_(linear.bias, FIRST_STOP_LOGIT)
    return linear
