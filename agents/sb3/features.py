"""One feature extractor for all of Stable-Baselines3's algorithms.

It encodes a feature map as the paper's policy does (section 3.1 and appendix): through a 1 x 1
convolution to 32 channels, or flat.
"""

import math
from collections.abc import Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from agents.policies.paper import STATE_ENCODERS
from agents.policies.recurrent_network import check_sees


class GlanceFocusExtractor(BaseFeaturesExtractor):
    """Encodes each observation and concatenates them, in the space's order.

    For `policy_kwargs`: `features_extractor_class` is this class, `features_extractor_kwargs` has
    `sees` and `encoder`, which SB3 saves with the model.

    Args:
        observation_space: of one environment, a `Dict`.
        sees: keys to use, out of `agents.policies.recurrent_network.SEES`; others, which the
            environment always shows, are ignored. None: all in the space.
        encoder: of feature maps: `conv`, a 1 x 1 convolution to 32 channels and ReLU, or `flat`,
            as they are. Everything else is flat.

    Raises:
        ValueError: an unknown encoder or key, or one that the space lacks.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        sees: Sequence[str] | None = None,
        encoder: str = "conv",
    ) -> None:
        if encoder not in STATE_ENCODERS:
            raise ValueError(f"unknown encoder {encoder!r}; choose one of {list(STATE_ENCODERS)}")
        if not isinstance(observation_space, spaces.Dict):
            raise ValueError(f"expected a Dict of observations, got {observation_space}")
        sees = tuple(observation_space) if sees is None else tuple(sees)
        check_sees(sees)
        missing = [key for key in sees if key not in observation_space.spaces]
        if missing:
            raise ValueError(
                f"the policy sees {missing}, which the environment does not show: it has "
                f"{list(observation_space)}; make it with observe={tuple(missing)}"
            )
        super().__init__(observation_space, features_dim=1)  # counted below
        self.encoders = nn.ModuleDict()
        self._features_dim = 0
        for key, space in observation_space.spaces.items():
            shape = space.shape or ()
            if key not in sees:
                continue
            self.encoders[key] = nn.Flatten()
            if encoder == "conv" and len(shape) == 3:
                convolution = nn.Conv2d(shape[0], 32, 1, bias=False)
                self.encoders[key] = nn.Sequential(convolution, nn.ReLU(), nn.Flatten())
                shape = (32, *shape[1:])
            self._features_dim += math.prod(shape)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return (n, features_dim) of n observations, (n, ...) float32 each."""
        return torch.cat([encode(observations[key]) for key, encode in self.encoders.items()], 1)
