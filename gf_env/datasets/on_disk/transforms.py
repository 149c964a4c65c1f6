"""From a decoded image of any size to one of the size a network takes.

For evaluation the image is resized on its short side and the centre is cut out; for training a
random part of it is resized, and mirrored half of the time: torchvision's usual pair, which the
paper's experiments on ImageNet use.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from gf_env.datasets.base import ImageSpec

CROP_AREA = (0.08, 1.0)
"""Smallest and largest part of the image's area in a random crop."""
CROP_ASPECT = (3 / 4, 4 / 3)
"""Smallest and largest width / height of a random crop."""
_TRIES = 10


def evaluation_transform(spec: ImageSpec) -> Callable[[Image.Image], torch.Tensor]:
    """Return what turns a PIL image into (channels, S, S) uint8, always the same."""
    transform: Callable[[Image.Image], torch.Tensor] = v2.Compose(
        [
            _colours(spec),
            v2.Resize(
                int(spec.image_size / spec.crop_fraction),
                InterpolationMode(spec.resize_interpolation),
            ),
            v2.CenterCrop(spec.image_size),
            v2.PILToTensor(),
        ]
    )
    return transform


def augment(image: Image.Image, spec: ImageSpec, rng: np.random.Generator) -> torch.Tensor:
    """Return a random part of an image, mirrored half of the time, (channels, S, S) uint8.

    torchvision's RandomResizedCrop and RandomHorizontalFlip, except that they would draw from
    torch's global generator.
    """
    box = random_crop_box(image.height, image.width, rng)
    cut = functional.resized_crop(
        _colours(spec)(image),
        *box,
        [spec.image_size, spec.image_size],
        InterpolationMode(spec.resize_interpolation),
    )
    if rng.random() < 0.5:
        cut = functional.horizontal_flip(cut)
    pixels: torch.Tensor = functional.pil_to_tensor(cut)
    return pixels


def random_crop_box(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, left, height and width, in pixels, of a random crop of an image.

    Its area is a uniform part of the image's, its aspect uniform in the logarithm. Where that
    does not fit ten times in a row, it is the largest centre crop with a permitted aspect.
    """
    areas = height * width * rng.uniform(*CROP_AREA, _TRIES)
    narrowest, widest = np.log(CROP_ASPECT)
    aspects = np.exp(rng.uniform(narrowest, widest, _TRIES))
    heights = np.rint(np.sqrt(areas / aspects)).astype(int)
    widths = np.rint(np.sqrt(areas * aspects)).astype(int)
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    if fits.any():
        first = int(fits.argmax())
        crop_height, crop_width = int(heights[first]), int(widths[first])
        top = int(rng.integers(height - crop_height + 1))
        left = int(rng.integers(width - crop_width + 1))
        return top, left, crop_height, crop_width
    smallest, largest = CROP_ASPECT
    crop_height = min(height, max(1, round(width / smallest)))
    crop_width = min(width, max(1, round(height * largest)))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def _colours(spec: ImageSpec) -> v2.Transform:
    return v2.Grayscale() if spec.channels == 1 else v2.RGB()
