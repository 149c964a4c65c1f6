import math

import pytest
import torch

from agents.learners.masked_statistics import discounted_returns, masked_normalise


def test_discounted_returns_by_hand():
    rewards = torch.tensor([[1.0, 0.0], [2.0, 0.0], [4.0, 1.0]])
    assert discounted_returns(rewards, 0.5).tolist() == [[3.0, 0.25], [4.0, 0.5], [4.0, 1.0]]


def test_normalisation_is_over_active_steps():
    values = torch.tensor([[1.0, 2.0], [6.0, 1e6]])
    active = torch.tensor([[True, True], [True, False]])
    found = masked_normalise(values, active)
    std = math.sqrt((4 + 1 + 9) / 3)
    assert found[active].tolist() == pytest.approx([-2 / std, -1 / std, 3 / std])
    alone = masked_normalise(torch.tensor([[7.0]]), torch.tensor([[True]]))
    assert alone.tolist() == [[0.0]]
