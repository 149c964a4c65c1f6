import math

import pytest
import torch

from agents.learners.returns import (
    discounted_returns,
    estimate_advantages,
    expected_returns,
    normalise,
    returns_to_go,
    td_targets,
)


def test_discounted_returns_by_hand():
    rewards = torch.tensor([[1.0, 0.0], [2.0, 0.0], [4.0, 1.0]])
    assert discounted_returns(rewards, 0.5).tolist() == [[3.0, 0.25], [4.0, 0.5], [4.0, 1.0]]


def test_returns_of_one_action():
    assert discounted_returns(torch.tensor([[2.0, 3.0]]), 0.9).tolist() == [[2.0, 3.0]]


def test_returns_to_go_by_hand():
    rewards = torch.tensor([[1.0, 0.0], [2.0, 8.0], [4.0, math.nan]])
    active = torch.tensor([[True, True], [True, True], [True, False]])
    found = returns_to_go(rewards, active, 0.5)
    assert found.tolist() == [[3.0, 4.0], [4.0, 8.0], [4.0, 0.0]]


def test_baselines_by_hand():
    returns = torch.tensor([[1.0, 4.0, 4.0], [2.0, 6.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    running = torch.tensor([3, 2, 1, 0])
    active = torch.arange(3) < running[:, None]
    values = torch.rand(4, 3)

    def expected(baseline):
        return expected_returns(baseline, returns, values, active).tolist()

    assert expected("value") == values.tolist()
    assert expected("batch_mean") == [[3.0] * 3, [4.0] * 3, [5.0] * 3, [0.0] * 3]
    assert expected("none") == [[0.0] * 3] * 4


def test_advantages_by_hand():
    rewards = torch.tensor([[1.0, 3.0], [2.0, 9.0], [4.0, 9.0]])
    values = torch.tensor([[1.0, 1.0], [1.0, 7.0], [2.0, 7.0]])
    active = torch.tensor([[True, True], [True, False], [True, False]])
    found = estimate_advantages(rewards, values, active, 0.5, 0.5)
    # errors of the first: 1 + 1/2 - 1, 2 + 1 - 1, 4 - 2; the second ended after one action
    assert found.tolist() == [[0.5 + 0.25 * 2.5, 2.0], [2 + 0.25 * 2, 0.0], [2.0, 0.0]]


def test_advantages_of_one_action():
    rewards, values = torch.tensor([[2.0, 3.0]]), torch.tensor([[0.5, 4.0]])
    active = torch.ones(1, 2, dtype=torch.bool)
    assert estimate_advantages(rewards, values, active, 0.9, 0.9).tolist() == [[1.5, -1.0]]


def test_lambda_one_trusts_rewards_and_zero_the_values():
    rewards, values = torch.rand(4, 3), torch.rand(4, 3)
    active = torch.ones(4, 3, dtype=torch.bool)
    trusting = estimate_advantages(rewards, values, active, 1.0, 1.0)
    assert torch.allclose(trusting + values, rewards.flip(0).cumsum(0).flip(0))
    shortest = estimate_advantages(rewards, values, active, 1.0, 0.0)
    assert torch.allclose(shortest[:-1], rewards[:-1] + values[1:] - values[:-1], atol=1e-6)


def test_targets_by_hand():
    rewards = torch.tensor([[1.0, 3.0], [2.0, 9.0], [4.0, 9.0]])
    values = torch.tensor([[5.0, 6.0], [1.0, 7.0], [2.0, 7.0]])
    active = torch.tensor([[True, True], [True, False], [True, False]])
    found = td_targets(rewards, values, active, 0.5)
    assert found[active].tolist() == [1.5, 3.0, 3.0, 4.0]
    assert values.tolist() == [[5.0, 6.0], [1.0, 7.0], [2.0, 7.0]]


def test_normalisation_is_over_all_steps_and_episodes_and_unbiased():
    returns = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    mean, std = 3.0, math.sqrt((4 + 1 + 0 + 9) / 3)
    assert torch.allclose(normalise(returns), (returns - mean) / (std + 1e-5))
    alike = torch.tensor([[1e-5, -1e-5]])
    assert normalise(alike).tolist() == [pytest.approx([1 / (2**0.5 + 1), -1 / (2**0.5 + 1)])]
