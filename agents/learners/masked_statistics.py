"""Statistics that leave out what comes after an episode's end."""

import torch


def masked_mean(values: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """Return the mean over active steps, without waiting for the device to say how many."""
    return torch.where(active, values, 0).sum() / active.sum()


def masked_variance(values: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """Return the variance over active steps."""
    return masked_mean((values - masked_mean(values, active)).square(), active)


def masked_normalise(values: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
    """Return values with mean 0 and standard deviation 1 over active steps."""
    centred = values - masked_mean(values, active)
    return centred / (masked_variance(values, active).sqrt() + 1e-8)


def explained_variance(
    returns: torch.Tensor, values: torch.Tensor, active: torch.Tensor
) -> torch.Tensor:
    """Return the share of the returns' variance over active steps that the values account for."""
    unexplained = masked_variance(returns - values, active)
    return 1 - unexplained / masked_variance(returns, active)
