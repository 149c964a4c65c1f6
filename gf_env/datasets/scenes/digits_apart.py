"""Digits and distractors that stand apart from each other, each in a cell of its own.

A scene is a board of 12 x 12 pixel cells; a digit of 10 pixels stands anywhere within its cell.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gf_env.datasets.scenes.counter_random import SceneWords
from gf_env.datasets.scenes.digit_scans import digit_quarters, draw_digits
from gf_env.datasets.scenes.drawing import Floats, join_quarters, linear_maps

CELL = 12
DIGIT_SIZE = 10
MAX_TURN = 0.10
"""Tangent of the largest turn of a digit."""
MAX_SHEAR = 0.10
MAX_SCALE = 0.05

WORDS_PER_OBJECT = 2
"""Of `places_in`, beside one for each cell."""
WORDS_PER_MAP = 4
WORDS_PER_DISTRACTOR = 4


class Cells(NamedTuple):
    """Where objects stand.

    Attributes:
        whole: (n, k, 2) int64, top-left pixels of the objects' cells.
        within: (n, k, 2) int64, those of 10-pixel boxes somewhere in them.
    """

    whole: NDArray[np.int64]
    within: NDArray[np.int64]


def choose_cells(words: SceneWords, image_size: int, count: int, far: int) -> Cells:
    """Return different cells for the objects of each scene.

    Args:
        words: of n scenes.
        image_size: height and width of a scene.
        count: number of objects, k.
        far: so many of them, the first ones, are never neighbours, not even at a corner: a patch of
            two cells never holds two of them.
    """
    side = image_size // CELL
    order = words.distinct(side * side, side * side)
    n = np.arange(len(order))
    for k in range(1, far):
        # the next one is the first in the order that is far from all before it
        rows, cols = order // side, order % side
        gaps = [np.abs(axis[:, :k, None] - axis[:, None]) for axis in (rows, cols)]
        chosen = (np.maximum(*gaps) > 1).all(axis=1).argmax(axis=1)
        order[n, chosen], order[:, k] = order[:, k], order[n, chosen]
    cells = order[:, :count]
    whole = np.stack([cells // side, cells % side], axis=-1) * CELL
    return Cells(whole, whole + words.below(CELL - DIGIT_SIZE + 1, count, WORDS_PER_OBJECT))


def varied_maps(words: SceneWords, count: int) -> Floats:
    """Return how each of the digits of n scenes is turned, sheared and scaled, (n, count, 2, 2)."""
    turn, shear, row_scale, col_scale = np.moveaxis(words.symmetric(count, WORDS_PER_MAP), -1, 0)
    maps = linear_maps(
        turn.ravel() * MAX_TURN,
        shear.ravel() * MAX_SHEAR,
        1 + row_scale.ravel() * MAX_SCALE,
        1 + col_scale.ravel() * MAX_SCALE,
    )
    return maps.reshape(len(turn), count, 2, 2)


def draw_varied(scans: Floats, maps: Floats) -> NDArray[np.uint8]:
    """Draw scans (n, k, 8, 8) through maps (n, k, 2, 2) as (n, k, 10, 10) uint8."""
    drawn = draw_digits(scans.reshape(-1, 8, 8), maps.reshape(-1, 2, 2), DIGIT_SIZE)
    return drawn.reshape(*scans.shape[:2], DIGIT_SIZE, DIGIT_SIZE)


def draw_distractors(part: str, words: SceneWords, count: int) -> NDArray[np.uint8]:
    """Return distractors made of quarters of digits, (n, count, 10, 10) uint8."""
    quarters = digit_quarters(part, DIGIT_SIZE)
    chosen = quarters[words.below(len(quarters), count, WORDS_PER_DISTRACTOR)]
    joined = join_quarters(chosen.reshape(-1, *chosen.shape[2:]))
    return joined.reshape(len(chosen), count, DIGIT_SIZE, DIGIT_SIZE)
