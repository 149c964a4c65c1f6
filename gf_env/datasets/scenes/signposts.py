"""Signposts: a sign that only a look at full resolution can read says which digit counts.

After pointer value retrieval (Zhang et al. 2021, arXiv 2107.12580) and the cueing of attention
(Posner 1980). Digits in different colours stand in a scene, and a white sign whose pattern names
the colour of the one that is the label. To read the sign says nothing of the label; only then does
it pay to know which digit to look at.

Every 4 x 4 block of every pattern has the same mean, and a sign starts at a multiple of four
pixels, so that the glance, which takes means of such blocks, shows where it is and no more.

## Card
Ids: `GlanceFocusSignposts-v0`, `GlanceFocusSignpostsGrid-v0` (7 x 7). T = 3 at all levels: two
looks, at the sign and at the digit that it names. With a third look, a digit first, then the sign,
then the digit that it names would do as well, and there would be nothing to plan.
Asks for: to plan, since the first look of a good episode gains nothing by itself.
Does worse: a discount of 0, and whoever looks at digits without having read the sign.
Levels: 2, 4 or 4 digits, each of another colour, and 2, 4 or 16 distractors.

## Version history
Scenes 1: first version.
"""

from dataclasses import dataclass
from typing import NamedTuple

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
from gf_env.datasets.scenes.drawing import lay_coloured

COLOURS = ("red", "green", "blue", "yellow")
PATTERNS = ("horizontal stripes", "vertical stripes", "diagonal stripes", "checkerboard")
"""What names each colour."""
SIGN_SIZE = 12
SIGN_BRIGHTNESS = 192

_SIZE = 96
_CHANNELS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]], np.uint8)
"""(4 + 1, 3) which channels a colour is seen in, white at last."""


class _Layout(NamedTuple):
    cells: Cells
    digits: NDArray[np.int64]
    """(n, k), the one that counts first."""
    colours: NDArray[np.int64]
    """(n, k) of them."""
    words: SceneWords
    """Those that are left."""


@dataclass(frozen=True)
class Signposts(SceneKind):
    """The task at one level; objects are the sign, the digit that counts, and the other digits.

    Attributes:
        num_digits: how many coloured digits, at most as many as there are colours.
        num_distractors: how many other coloured things.
    """

    num_digits: int
    num_distractors: int

    version = 1
    content_names = (*PATTERNS, *(f"{colour} {digit}" for colour in COLOURS for digit in DIGITS))
    content_sizes = (SIGN_SIZE,) * len(PATTERNS) + (DIGIT_SIZE,) * len(DIGITS) * len(COLOURS)
    kinds = (*[0] * len(PATTERNS), *(1 + colour for colour in range(len(COLOURS)) for _ in DIGITS))
    kind_names = ("sign", *(f"{colour} digit" for colour in COLOURS))

    @property
    @override
    def spec(self) -> ImageSpec:
        mean, std = (0.073,) * 3, (0.084,) * 3
        return ImageSpec(image_size=_SIZE, channels=3, classes=DIGITS, mean=mean, std=std)

    @property
    @override
    def num_objects(self) -> int:
        return 1 + self.num_digits

    @property
    @override
    def num_needed(self) -> int:
        return 2

    @override
    def truth(self, split: str, indices: Indices) -> Truth:
        cells, digits, colours, _ = self._layout(split, indices)
        coloured = len(PATTERNS) + colours * len(DIGITS) + digits
        sign = cells.whole[:, :1]
        return Truth(
            labels=digits[:, 0],
            objects=np.concatenate([sign, cells.within[:, 1 : 1 + self.num_digits]], axis=1),
            contents=np.concatenate([colours[:, :1], coloured], axis=1),
        )

    @override
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        cells, digits, colours, words = self._layout(split, indices)
        part = SCAN_PARTS[split]
        scans = scans_of(part, digits, words)
        drawn = draw_varied(scans, varied_maps(words, self.num_digits))
        distractors = draw_distractors(part, words, self.num_distractors)
        objects = np.concatenate([drawn, distractors], axis=1)
        their_colours = words.below(self.num_digits, self.num_distractors)
        channels = _CHANNELS[np.concatenate([colours, their_colours], axis=1)]
        scenes = np.zeros((len(indices), 3, _SIZE, _SIZE), np.uint8)
        white = np.broadcast_to(_CHANNELS[-1], (len(indices), 3))
        lay_coloured(scenes, _SIGNS[colours[:, 0]], cells.whole[:, 0], white)
        for k in range(objects.shape[1]):
            lay_coloured(scenes, objects[:, k], cells.within[:, 1 + k], channels[:, k])
        self.add_noise(scenes, split, indices)
        return scenes

    def _layout(self, split: str, indices: Indices) -> _Layout:
        count = 1 + self.num_digits + self.num_distractors
        words = self.words("layout", split, indices, layout_words(count))
        cells = choose_cells(words, _SIZE, count, self.num_needed)
        digits = words.distinct(len(DIGITS), self.num_digits)
        return _Layout(cells, digits, words.distinct(self.num_digits, self.num_digits), words)


def _signs() -> NDArray[np.uint8]:
    """Return the patterns, (4, 12, 12) uint8; in each block of 4 x 4 pixels, half are bright."""
    rows, cols = np.indices((SIGN_SIZE, SIGN_SIZE))
    bright = [rows // 2, cols // 2, (rows + cols) // 2, rows // 2 + cols // 2]
    return (np.stack(bright) % 2 * SIGN_BRIGHTNESS).astype(np.uint8)


_SIGNS = _signs()

LEVELS = (
    Signposts("signposts-easy", num_digits=2, num_distractors=2),
    Signposts("signposts", num_digits=4, num_distractors=4),
    Signposts("signposts-hard", num_digits=4, num_distractors=16),
)
