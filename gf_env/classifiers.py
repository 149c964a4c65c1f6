"""The classifier f_C, which gathers what the glimpses show (paper, section 3.1).

Its state h_t^C is an argument and a result, so that an episode's past lies with the episode.
"""

from __future__ import annotations

import torch
from torch import nn


class RecurrentClassifier(nn.Module):
    """A GRU cell over pooled vectors and a linear layer on its state.

    Args:
        num_features: length of the encoders' pooled vectors.
        hidden_size: H.
        num_classes: number of logits.
    """

    def __init__(self, num_features: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.rnn = nn.GRUCell(num_features, hidden_size)
        self.fc = nn.Linear(hidden_size, num_classes)

    def initial_state(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the state before the glance: zeros, (n, H), for n pooled vectors."""
        return pooled.new_zeros(len(pooled), self.hidden_size)

    def forward(
        self, pooled: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in one glimpse.

        Args:
            pooled: (n, num_features).
            hidden: (n, H), the state before it.

        Returns:
            logits (n, num_classes) and the state after it (n, H).
        """
        hidden = self.rnn(pooled, hidden)
        return self.fc(hidden), hidden
