"""A frozen network that runs faster: its encoders in lower precision, compiled, or both."""

from typing import Any, get_args

import torch
from torch import nn
from typing_extensions import override

from gf_env.network.config import Precision
from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet

_BFLOAT16_PIXELS_AT_ONCE = 1 << 18


class AcceleratedEncoder(Encoder):
    """A frozen encoder in another precision, compiled, or both; what it returns is float32.

    Args:
        encoder: in eval mode. With `compiled`, its weights are taken as they are at the first call.
        precision: `float32` or `bfloat16`.
        compiled: with torch.compile, which takes some ten seconds at the first call and again for
            batches of another size; on a GPU the encoder runs as a CUDA graph.
    """

    def __init__(self, encoder: Encoder, precision: str, *, compiled: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_features = encoder.num_features
        self._device = next(encoder.parameters()).device.type
        self._bfloat16 = precision == "bfloat16"
        if self._bfloat16:
            self.pixels_at_once = _BFLOAT16_PIXELS_AT_ONCE
        on_gpu = self._device == "cuda"
        self._copies = compiled and on_gpu  # a CUDA graph writes its next result over this one
        self._runs: Any = encoder
        if compiled:
            # weights that are constants let the compiler fold batch normalisation into convolutions
            options: dict[str, Any] = {"freezing": True, "triton.cudagraphs": on_gpu}
            self._runs = torch.compile(encoder, options=options)
        self.eval()

    def forward(self, images: torch.Tensor) -> Encoding:
        """Encode (n, C, height, width) float images."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bfloat16):
            encoding = self._runs(images)
        return Encoding(*(value.to(torch.float32, copy=self._copies) for value in encoding))

    @override
    def pool(self, features: torch.Tensor) -> torch.Tensor:
        return self.encoder.pool(features)

    @property
    def own_head(self) -> nn.Module:
        """The encoder's, in float32."""
        return self.encoder.own_head


def make_glimpse_source(
    network: GlanceFocusNet, precision: str, *, compiled: bool
) -> GlanceFocusNet:
    """Return the network itself or one with the same weights and `AcceleratedEncoder`s.

    The classifier stays in float32: it is small, and its state adds up over an episode.

    Raises:
        ValueError: unknown precision.
    """
    known = get_args(Precision)
    if precision not in known:
        raise ValueError(f"unknown precision {precision!r}; choose one of {list(known)}")
    if precision == "float32" and not compiled:
        return network
    return network.with_encoders(
        AcceleratedEncoder(network.global_encoder, precision, compiled=compiled),
        AcceleratedEncoder(network.local_encoder, precision, compiled=compiled),
    )
