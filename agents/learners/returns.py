"""What learners make of an episode's rewards: returns, what these are compared with, advantages."""

from typing import Literal

import torch

Baseline = Literal["value", "batch_mean", "none"]


def discounted_returns(rewards: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return R_t = r_t + gamma R_(t+1) for rewards (A, n), nothing after the last."""
    returns = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        running = rewards[step] + gamma * running
        returns[step] = running
    return returns


def normalise(returns: torch.Tensor) -> torch.Tensor:
    """Return them with mean 0 and (unbiased) standard deviation 1 over all steps and episodes."""
    return (returns - returns.mean()) / (returns.std() + 1e-5)


def returns_to_go(rewards: torch.Tensor, active: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return G_t, the discounted rewards from each action to the episode's end.

    Args:
        rewards: (A, n).
        active: (A, n) bool; rewards count until the episode had ended.
        gamma: discount.

    Returns:
        (A, n); 0 where the episode had ended.
    """
    return discounted_returns(torch.where(active, rewards, 0), gamma)


def expected_returns(
    baseline: Baseline, returns: torch.Tensor, values: torch.Tensor, active: torch.Tensor
) -> torch.Tensor:
    """Return what returns are compared with, (A, n).

    Args:
        baseline: see `agents.learners.reinforce`.
        returns: (A, n).
        values: (A, n), the critic's.
        active: (A, n) bool.
    """
    if baseline == "value":
        return values
    if baseline == "none":
        return torch.zeros_like(returns)
    # an episode is in its own mean, which scales the gradient by (k - 1) / k for k that are running
    running = active.sum(1, keepdim=True).clamp(min=1)  # there may be none left
    return (torch.where(active, returns, 0).sum(1, keepdim=True) / running).expand_as(returns)


def estimate_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    active: torch.Tensor,
    gamma: float,
    gae_lambda: float,
) -> torch.Tensor:
    """Return the generalised advantage estimate of whole episodes.

    Args:
        rewards: (A, n).
        values: (A, n), expected before each action.
        active: (A, n) bool; nothing counts from the first action on which the episode had ended.
        gamma: discount.
        gae_lambda: 0 trusts the values, 1 the rewards.

    Returns:
        (A, n); 0 where the episode had ended.
    """
    advantages = torch.zeros_like(rewards)
    following, next_value = torch.zeros_like(rewards[0]), torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        error = rewards[step] + gamma * next_value - values[step]
        following = torch.where(active[step], error + gamma * gae_lambda * following, 0)
        next_value = torch.where(active[step], values[step], 0)
        advantages[step] = following
    return advantages


def td_targets(
    rewards: torch.Tensor, values: torch.Tensor, active: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Return r_t + gamma V_(t+1), what an action was worth, of whole episodes.

    Args:
        rewards: (A, n).
        values: (A, n), expected before each action.
        active: (A, n) bool; nothing follows once the episode had ended.
        gamma: discount.

    Returns:
        (A, n); without meaning where the episode had ended.
    """
    following = torch.where(active, values, 0).roll(-1, 0)
    following[-1] = 0
    return rewards + gamma * following
