import math

import pytest
import torch

from agents.learners.masked_statistics import explained_variance, masked_normalise


def test_normalisation_is_over_active_steps():
    values = torch.tensor([[1.0, 2.0], [6.0, 1e6]])
    active = torch.tensor([[True, True], [True, False]])
    found = masked_normalise(values, active)
    std = math.sqrt((4 + 1 + 9) / 3)
    assert found[active].tolist() == pytest.approx([-2 / std, -1 / std, 3 / std])
    alone = masked_normalise(torch.tensor([[7.0]]), torch.tensor([[True]]))
    assert alone.tolist() == [[0.0]]
    tiny = torch.tensor([[1e-8, -1e-8]], dtype=torch.float64)
    assert masked_normalise(tiny, torch.tensor([[True, True]])).tolist() == [
        pytest.approx([0.5, -0.5])  # and not infinite
    ]


def test_explained_variance_by_hand():
    returns = torch.tensor([[1.0, 3.0], [5.0, 1e6]])
    values = torch.tensor([[1.0, 1.0], [4.0, -1e6]])
    active = torch.tensor([[True, True], [True, False]])
    # what is left is 0, 2, 1, of variance 2/3; that of the returns is 8/3
    assert explained_variance(returns, values, active).item() == pytest.approx(0.75)
    assert explained_variance(returns, returns + 7, active).item() == pytest.approx(1)
