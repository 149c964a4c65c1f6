"""Hidden digits: nothing in the glance tells where the digit is, so it has to be searched for.

The digit is drawn as a texture. Each of its 8 x 8 dots is a checkerboard of 2 x 2 pixels, as much
brighter than the grey ground as it is darker, by the ink of the scan. A digit starts at an even
pixel, so every mean over a block of whole dots is that of the ground, and the glance, which takes
means of such blocks, is grey everywhere.

Eight looks at a scene of 96 pixels seldom fall on the same place twice, so a blind scan is no
better than random patches; with sixteen, which see all of the scene, it is.

## Card
Ids: `GlanceFocusSearch-v0`, `GlanceFocusSearchGrid-v0` (3 x 3, 7 x 7 or 11 x 11: a patch of 24
pixels every 12). T = 7, 9 or 13.
Asks for: to search on, where no look was before.
Does worse: policies that do not remember where they looked.
Levels: scenes of 48, 96 or 144 pixels, in which a digit has 16; one network for all.

## Version history
Scenes 1: first version.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.scenes.base import DIGITS, SCAN_PARTS, Indices, SceneKind, Truth
from gf_env.datasets.scenes.counter_random import SceneWords
from gf_env.datasets.scenes.digit_scans import draw_digits, scans_of
from gf_env.datasets.scenes.digits_apart import varied_maps

GROUND = 112
"""Brightness of the ground."""
DOT = 2
"""Height and width of a dot, in pixels."""
DOTS = 8
DIGIT_SIZE = DOTS * DOT
CONTRAST = 0.5
"""Of the brightness that a digit has in other tasks."""


@dataclass(frozen=True)
class HiddenDigits(SceneKind):
    """The task at one level; the object is the digit.

    Attributes:
        image_size: height and width of a scene.
    """

    image_size: int

    version = 1
    content_sizes = (DIGIT_SIZE,) * len(DIGITS)

    @property
    @override
    def spec(self) -> ImageSpec:
        size = self.image_size
        return ImageSpec(image_size=size, channels=1, classes=DIGITS, mean=(0.5,), std=(0.1,))

    @override
    def truth(self, split: str, indices: Indices) -> Truth:
        digits, corners, _ = self._layout(split, indices)
        return Truth(digits[:, 0], corners[:, None], digits)

    @override
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        digits, corners, words = self._layout(split, indices)
        scans = scans_of(SCAN_PARTS[split], digits, words)[:, 0]
        ink = draw_digits(scans, varied_maps(words, 1)[:, 0], DOTS)
        ink = (ink * CONTRAST).astype(np.uint8).repeat(DOT, axis=1).repeat(DOT, axis=2)
        rows, cols = np.indices(ink.shape[1:])
        texture = np.where((rows + cols) % 2 == 0, GROUND + ink, GROUND - ink)
        size = self.image_size
        scenes = np.full((len(indices), 1, size, size), GROUND, np.uint8)
        box = np.arange(DIGIT_SIZE)
        n = np.arange(len(indices))[:, None, None]
        top, left = corners[:, 0, None, None], corners[:, 1, None, None]
        scenes[n, 0, top + box[:, None], left + box] = texture
        self.add_noise(scenes, split, indices)
        return scenes

    def _layout(
        self, split: str, indices: Indices
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], SceneWords]:
        """Return the digits (n, 1), their corners (n, 2), and the words that are left."""
        words = self.words("layout", split, indices, 8)
        travel = (self.image_size - DIGIT_SIZE) // DOT + 1
        return words.below(10, 1), words.below(travel, 2) * DOT, words


LEVELS = (
    HiddenDigits("hidden-digits-easy", image_size=48),
    HiddenDigits("hidden-digits", image_size=96),
    HiddenDigits("hidden-digits-hard", image_size=144),
)
