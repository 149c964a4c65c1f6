"""Glances and patches: the two ways in which the network looks at an image (paper, section 3.1).

A location a in [0, 1]^2 is (row, col), as a fraction of the way that a patch can travel: its
top-left corner is floor(a * (S - P)). Patches are cut, never resized; the glance is the whole
image resized to the patch's size.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

_VALUES_AT_ONCE = 1 << 20


class Normalise(nn.Module):
    """Turns pixels into the encoders' inputs.

    Args:
        mean: one value a channel, on the scale [0, 1].
        std: likewise.
    """

    mean: torch.Tensor
    std: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        pairs = list(zip(mean, std, strict=True))
        buffers = {
            "mean": mean,
            "std": std,
            # (pixels / 255 - mean) / std in one pass over the pixels
            "scale": [1 / (255 * deviation) for _, deviation in pairs],
            "shift": [-average / deviation for average, deviation in pairs],
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise (n, C, height, width) uint8 images to float32; float images stay as they are.

        Both come out as channels_last: float32 convolutions on the CPU ran five times faster so.
        """
        if images.dtype == torch.uint8:
            return self._normalise(self._laid_out(images.float()))
        return self._laid_out(images)

    def small(self, images: torch.Tensor, size: int, interpolation: str) -> torch.Tensor:
        """Return whole images (n, C, S, S) as (n, C, size, size), normalised; see `resize`.

        Bytes are normalised after resizing, when fewer are left; both are linear, so that the
        order makes no difference.
        """
        small = self._laid_out(resize(images, size, interpolation))
        return self._normalise(small) if images.dtype == torch.uint8 else small

    @staticmethod
    def _laid_out(images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)

    def _normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        scale, shift = self.scale, self.shift
        if pixels.shape[1] > 1:  # values side by side in memory are of different channels
            scale, shift = (
                self._laid_out(values.expand(1, *pixels.shape[1:])) for values in (scale, shift)
            )
        return torch.addcmul(shift, pixels, scale)

    def undo(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalised float images as uint8; uint8 images as they are."""
        if images.dtype == torch.uint8:
            return images
        return ((images * self.std + self.mean) * 255).round().clamp(0, 255).to(torch.uint8)


def resize(images: torch.Tensor, size: int, interpolation: str) -> torch.Tensor:
    """Resize images to size x size, as the glance does.

    `bilinear` and `bicubic` are as in the paper's release, corners aligned and without
    antialiasing, so that they miss what lies between the samples; `area` takes means.

    Args:
        images: (n, C, S, S) float or uint8.
        size: of the result, pixels.
        interpolation: `bilinear`, `bicubic` or `area`.

    Returns:
        (n, C, size, size) float.
    """
    if images.numel() > _VALUES_AT_ONCE and images.device.type == "cpu" and len(images) > 1:
        # whole images as floats are large; a few at a time stay in the caches
        few = max(1, _VALUES_AT_ONCE * len(images) // images.numel())
        return torch.cat([resize(part, size, interpolation) for part in torch.split(images, few)])
    images = images if images.is_floating_point() else images.float()
    if images.shape[-2:] == (size, size):
        return images
    if interpolation == "area" and images.shape[-1] % size == 0:
        return _block_means(images, images.shape[-1] // size)
    aligned = None if interpolation == "area" else True  # area has no corners to align
    return F.interpolate(images, size=(size, size), mode=interpolation, align_corners=aligned)


def _block_means(images: torch.Tensor, block: int) -> torch.Tensor:
    """Return the means of block x block pixels; in a quarter of the time of `F.interpolate`."""
    rows = functools.reduce(torch.add, (images[..., row::block, :] for row in range(block)))
    return functools.reduce(torch.add, (rows[..., col::block] for col in range(block))) / block**2


def crop(
    images: torch.Tensor, corners: torch.Tensor, patch_size: int, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """Cut n patches out of images, in one gather of their rows of pixels.

    Args:
        images: (m, C, S, S), any dtype.
        corners: (n, 2) int64 in [0, S - P], (row, col).
        patch_size: P.
        rows: (n,) int64 in [0, m), the image that each is cut from; None: one from each, n = m.

    Returns:
        (n, C, P, P), a copy.
    """
    images = images.contiguous()
    _, channels, height, width = images.shape
    if rows is None:
        rows = torch.arange(len(images), device=images.device)
    starts = (rows * channels * height + corners[:, 0]) * width + corners[:, 1]
    channel = torch.arange(channels, device=images.device)[:, None] * height
    row = torch.arange(patch_size, device=images.device)
    starts = starts[:, None] + ((channel + row) * width).view(-1)  # (n, C * P): of each row
    # every run of P pixels in memory, a view: no pixel moves
    count = max(0, images.numel() - patch_size + 1)
    runs = images.as_strided((count, patch_size), (1, 1))
    return runs.index_select(0, starts.view(-1)).view(-1, channels, patch_size, patch_size)
