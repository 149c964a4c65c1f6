"""A frozen network that runs faster: in lower precision, compiled, or both."""

from __future__ import annotations

from typing import Any

import torch

from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet, Glimpse

PRECISIONS = ("float32", "bfloat16")
_BFLOAT16_PIXELS_AT_ONCE = 1 << 18


class AcceleratedNetwork:
    """A frozen network whose encoders run in another precision, compiled, or both.

    The classifier stays in float32: it is small, and its state adds up over an episode.

    Args:
        network: in eval mode. With `compiled`, its weights are taken as they are at the first look.
        precision: `float32` or `bfloat16`.
        compiled: with torch.compile, which takes some ten seconds at the first look and again for
            batches of another size; on a GPU the encoders run as CUDA graphs.
    """

    def __init__(self, network: GlanceFocusNet, precision: str, *, compiled: bool) -> None:
        self._network = network
        self._bfloat16 = precision == "bfloat16"
        self._pixels_at_once = _BFLOAT16_PIXELS_AT_ONCE if self._bfloat16 else None
        self._global = self._faster(network.global_encoder, compiled=compiled)
        self._local = self._faster(network.local_encoder, compiled=compiled)

    def glance(self, images: torch.Tensor, rows: torch.Tensor | None = None) -> Glimpse:
        """Look at whole images, small: step 1; arguments as of `GlanceFocusNet.glance`."""
        encoding = self._network.encode_glance(images, rows, self._global, self._pixels_at_once)
        return self._network.first_glimpse(encoding)

    def focus(
        self,
        images: torch.Tensor,
        locations: torch.Tensor,
        hidden: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> Glimpse:
        """Look at one patch of each image; arguments as of `GlanceFocusNet.focus`."""
        return self._network.next_glimpse(self.encode_patches(images, locations, rows), hidden)

    def encode_patches(
        self, images: torch.Tensor, locations: torch.Tensor, rows: torch.Tensor | None = None
    ) -> Encoding:
        """Encode one patch of each image; arguments as of `focus`."""
        return self._network.encode_patches(
            images, locations, rows, self._local, self._pixels_at_once
        )

    def _faster(self, encoder: Encoder, *, compiled: bool) -> Any:
        """Return what runs in the place of an encoder."""
        device = self._network.device.type
        # weights that are constants let the compiler fold batch normalisation into convolutions
        options: dict[str, Any] = {"freezing": True, "triton.cudagraphs": device == "cuda"}
        runs: Any = torch.compile(encoder, options=options) if compiled else encoder
        # a CUDA graph writes its next result over this one
        copies = compiled and device == "cuda"

        def run(images: torch.Tensor) -> Encoding:
            with torch.autocast(device, torch.bfloat16, enabled=self._bfloat16):
                encoding = runs(images)
            return Encoding(*(value.to(torch.float32, copy=copies) for value in encoding))

        return run


def make_glimpse_source(
    network: GlanceFocusNet, precision: str, *, compiled: bool
) -> GlanceFocusNet | AcceleratedNetwork:
    """Return the network itself or a faster form of it; see `AcceleratedNetwork`.

    Raises:
        ValueError: unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose one of {list(PRECISIONS)}")
    if precision == "float32" and not compiled:
        return network
    return AcceleratedNetwork(network, precision, compiled=compiled)
