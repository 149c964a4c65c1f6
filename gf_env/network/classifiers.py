"""The classifier f_C over the glimpses so far (paper, section 3.1).

Its state h_t^C is an argument and a result, so that an episode's past lies with the episode.
"""

import torch
from torch import nn
from typing_extensions import override

from gf_env.network.config import NetworkConfig


class Classifier(nn.Module):
    """A classifier; its state is (n, H) for n episodes, whatever kind it is."""

    def initial_state(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the state before the glance, (n, H), for n pooled vectors."""
        raise NotImplementedError

    def advance(self, pooled: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the state (n, H) after pooled vectors (n, num_features), from the one before."""
        raise NotImplementedError

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes) of states (n, H)."""
        raise NotImplementedError

    def forward(
        self, pooled: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (n, classes) and the state (n, H) after pooled vectors; see `advance`."""
        hidden = self.advance(pooled, hidden)
        return self.logits(hidden), hidden

    def logits_of_each(self, pooled: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits after each of k looks from each of b states.

        Args:
            pooled: (n, k, num_features), vectors of n episodes.
            hidden: (n, b, H), states of the same episodes.

        Returns:
            (n, b, k, classes), what `forward` gives for every pair.
        """
        size = (len(pooled), hidden.shape[1], pooled.shape[1])
        every = pooled[:, None].expand(*size, -1), hidden[:, :, None].expand(*size, -1)
        logits: torch.Tensor = self(*(each.flatten(0, 2) for each in every))[0]
        return logits.view(*size, -1)


class RecurrentClassifier(Classifier):
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
        """Return zeros, (n, H)."""
        return pooled.new_zeros(len(pooled), self.hidden_size)

    def advance(self, pooled: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the state (n, H) after pooled vectors (n, num_features)."""
        state: torch.Tensor = self.rnn(pooled, hidden)
        return state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes) of states (n, H)."""
        logits: torch.Tensor = self.fc(hidden)
        return logits

    @override
    def logits_of_each(self, pooled: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        # both matrix products of the cell are taken once for what they are of, not for every pair
        cell, linear = self.rnn, nn.functional.linear
        seen = linear(pooled, cell.weight_ih, cell.bias_ih)[:, None].chunk(3, dim=-1)
        known = linear(hidden, cell.weight_hh, cell.bias_hh)[:, :, None].chunk(3, dim=-1)
        reset, update = ((seen[gate] + known[gate]).sigmoid_() for gate in (0, 1))
        new = torch.addcmul(seen[2], reset, known[2]).tanh_()
        return self.logits(torch.lerp(new, hidden[:, :, None], update))


class CascadedClassifier(Classifier):
    """For each step t > 1 a linear layer of its own on the t pooled vectors so far.

    The state is the number of looks taken, then T pooled vectors, zeros where there is none yet;
    H is 1 + T * num_features. It has no layer for the glance: the global encoder's own head gives
    the logits there.

    Args:
        num_features: length F of the encoders' pooled vectors.
        sequence_length: T, more looks than which it cannot take.
        num_classes: number of logits.
    """

    def __init__(self, num_features: int, sequence_length: int, num_classes: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.sequence_length = sequence_length
        self.num_classes = num_classes
        self.heads = nn.ModuleDict(
            {
                str(looks): nn.Linear(looks * num_features, num_classes)
                for looks in range(2, sequence_length + 1)
            }
        )

    def initial_state(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return zeros, (n, 1 + T * F)."""
        return pooled.new_zeros(len(pooled), 1 + self.sequence_length * self.num_features)

    def advance(self, pooled: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the state (n, 1 + T * F) with pooled vectors (n, F) as its newest."""
        looks = hidden[:, :1].long()
        places = 1 + looks * self.num_features
        places = places + torch.arange(self.num_features, device=hidden.device)
        state = hidden.scatter(1, places, pooled.to(hidden.dtype))
        return torch.cat([hidden[:, :1] + 1, state[:, 1:]], dim=1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes) of states (n, 1 + T * F) after two looks or more.

        On the CPU only the layers that are needed run: all of them on all rows cost three times as
        much. On a GPU all run, since finding out which are needed would wait for the device.
        """
        looks = hidden[:, 0].long()
        if hidden.device.type != "cpu":
            return self._every_head(looks, hidden)
        distinct = sorted(set(looks.tolist()))
        if len(distinct) == 1:
            return self._logits(distinct[0], hidden)
        logits = hidden.new_zeros(len(hidden), self.num_classes)
        for number in distinct:
            rows = (looks == number).nonzero()[:, 0]
            part = self._logits(number, hidden[rows])
            logits = logits.to(part.dtype).index_copy(0, rows, part)
        return logits

    def _every_head(self, looks: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return logits as of `logits`, without waiting for the device."""
        numbers = range(2, self.sequence_length + 1)
        every = torch.stack([self._logits(number, hidden) for number in numbers])
        return every[looks - 2, torch.arange(len(hidden), device=hidden.device)]

    def _logits(self, looks: int, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.heads[str(looks)](hidden[:, 1 : 1 + looks * self.num_features])
        return logits


def make_classifier(config: NetworkConfig, num_features: int) -> Classifier:
    """Return the classifier that a network's configuration asks for, with random weights."""
    num_classes = len(config.classes)
    if config.classifier == "cascaded":
        return CascadedClassifier(num_features, config.sequence_length, num_classes)
    return RecurrentClassifier(num_features, config.hidden_size, num_classes)
