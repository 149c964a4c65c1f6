"""Digit sums: the label is the sum of all digits in a scene, modulo 10.

After the digit addition of "Multiple Object Recognition with Visual Attention" (Ba et al., ICLR
2015, arXiv 1412.7755). Digits are drawn independently and alike, so all but one of them say
nothing of the label: a look that finds the first gains nothing, and the last one gains all.

Grey scenes of 96 x 96 pixels: digits of 10 pixels among distractors made of quarters of digits.

## Card
Ids: `GlanceFocusSums-v0`, `GlanceFocusSumsGrid-v0` (7 x 7). T = 3, 3 or 5: two looks for two
digits, and at the level hard two more to search with.
Asks for: to join looks, none of which says anything alone.
Does worse: a discount of 0, one look, and the greedy oracle, which sees no gain in the first digit.
Levels: 2 digits alone, 2 among 8 distractors, or 2 among 24.

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
from gf_env.datasets.scenes.digit_scans import scans_of
from gf_env.datasets.scenes.digits_apart import (
    DIGIT_SIZE,
    Cells,
    choose_cells,
    draw_distractors,
    draw_varied,
    layout_words,
    varied_maps,
)
from gf_env.datasets.scenes.drawing import lay

_SIZE = 96


@dataclass(frozen=True)
class DigitSums(SceneKind):
    """The task at one level; objects are the digits.

    Attributes:
        num_digits: how many are added.
        num_distractors: how many other things are in a scene.
    """

    num_digits: int
    num_distractors: int

    version = 1
    content_sizes = (DIGIT_SIZE,) * len(DIGITS)

    @property
    @override
    def spec(self) -> ImageSpec:
        return ImageSpec(image_size=_SIZE, channels=1, classes=DIGITS, mean=(0.085,), std=(0.112,))

    @property
    @override
    def num_objects(self) -> int:
        return self.num_digits

    @override
    def truth(self, split: str, indices: Indices) -> Truth:
        cells, digits, _ = self._layout(split, indices)
        return Truth(digits.sum(axis=1) % 10, cells.within[:, : self.num_digits], digits)

    @override
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        cells, digits, words = self._layout(split, indices)
        part = SCAN_PARTS[split]
        scans = scans_of(part, digits, words)
        drawn = [
            draw_varied(scans, varied_maps(words, self.num_digits)),
            draw_distractors(part, words, self.num_distractors),
        ]
        objects = np.concatenate(drawn, axis=1)
        scenes = np.zeros((len(indices), 1, _SIZE, _SIZE), np.uint8)
        for k in range(objects.shape[1]):
            lay(scenes[:, 0], objects[:, k], cells.within[:, k])
        self.add_noise(scenes, split, indices)
        return scenes

    def _layout(self, split: str, indices: Indices) -> tuple[Cells, NDArray[np.int64], SceneWords]:
        """Return where objects stand, the digits (n, k), and the words that are left."""
        count = self.num_digits + self.num_distractors
        words = self.words("layout", split, indices, layout_words(count))
        cells = choose_cells(words, _SIZE, count, self.num_needed)
        return cells, words.below(10, self.num_digits), words


LEVELS = (
    DigitSums("digit-sums-easy", num_digits=2, num_distractors=0),
    DigitSums("digit-sums", num_digits=2, num_distractors=8),
    DigitSums("digit-sums-hard", num_digits=2, num_distractors=24),
)
