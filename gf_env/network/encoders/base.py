"""The interface of a backbone f_G or f_L (paper, section 3.1).

Every encoder also has a head of its own, from pooled vector to logits. It is what the encoder is
trained with before it becomes part of a `GlanceFocusNet`, and it gives the auxiliary loss of
stage 1.
"""

from typing import NamedTuple

import torch
from torch import nn


class Encoding(NamedTuple):
    """An encoder's output for n images.

    Attributes:
        features: (n, channels, h, w), the feature map e_t.
        pooled: (n, num_features).
    """

    features: torch.Tensor
    pooled: torch.Tensor


class Encoder(nn.Module):
    """A backbone.

    Attributes:
        num_features: length of the pooled vector.
        prefix: what the backbone's own names of its tensors begin with here.
        pixels_at_once: how large a part of a batch is, see
            `gf_env.network.encoders.batching.encode_in_parts`.
    """

    num_features: int
    prefix: str = ""
    pixels_at_once: int = 1 << 16

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images."""
        raise NotImplementedError

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Return pooled vectors (n, num_features) of maps (n, channels, h, w) of any size."""
        raise NotImplementedError

    @property
    def own_head(self) -> nn.Module:
        """The layer from pooled vectors (n, num_features) to logits (n, classes)."""
        raise NotImplementedError

    def own_logits(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, classes) of the own head for pooled vectors (n, num_features)."""
        logits: torch.Tensor = self.own_head(pooled)
        return logits

    def head_names(self) -> list[str]:
        """Return the names of the own head's tensors."""
        (name,) = (name for name, module in self.named_modules() if module is self.own_head)
        return [f"{name}.{part}" for part in self.own_head.state_dict()]
