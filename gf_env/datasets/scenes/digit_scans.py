"""The handwritten digits that scenes are made of, in three parts that share no scan.

They are the 1,797 that scikit-learn carries (UCI, Alpaydin and Kaynak 1998).
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gf_env.datasets.scenes.counter_random import SceneWords
from gf_env.datasets.scenes.drawing import Floats, cut_quarters, warp

INK = 12
"""Brightness of one of a scan's 16 grey levels, of 255."""
_HELD_OUT = 200


class DigitScans(NamedTuple):
    """Some scans of digits.

    Attributes:
        scans: (n, 8, 8) float64 in [0, 16].
        labels: (n,) int64, the digits.
    """

    scans: Floats
    labels: NDArray[np.int64]


@functools.cache
def digit_scans(part: str) -> DigitScans:
    """Return the scans for scenes to `train` on, for `validation`, or for the `test`."""
    # scikit-learn takes a second to import, and only making scenes needs it
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.argsort(SceneWords("1scans", np.arange(len(digits.target)), 4).take(), kind="stable")
    test, validation, train = np.split(order, [_HELD_OUT, 2 * _HELD_OUT])
    chosen = {"test": test, "validation": validation, "train": train}[part]
    scans, labels = digits.images[chosen], digits.target[chosen]
    return DigitScans(scans.astype(np.float64), labels.astype(np.int64))


@functools.cache
def _scans_by_digit(part: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the scans' order by digit, and of each digit the first in that order and how many."""
    labels = digit_scans(part).labels
    counts = np.bincount(labels, minlength=10)
    return np.argsort(labels, kind="stable"), np.cumsum(counts) - counts, counts


def scans_of(part: str, digits: NDArray[np.int64], words: SceneWords) -> Floats:
    """Return a scan of each digit, drawn with the scenes' words.

    Args:
        part: see `digit_scans`.
        digits: (n, k) in [0, 10).
        words: of the n scenes.

    Returns:
        (n, k, 8, 8) in [0, 16].
    """
    order, first, counts = _scans_by_digit(part)
    chosen = first[digits] + words.below(counts[digits], digits.shape[1])
    scans: Floats = digit_scans(part).scans[order[chosen]]
    return scans


def draw_digits(scans: Floats, maps: Floats, size: int) -> NDArray[np.uint8]:
    """Draw scans (n, 8, 8) through maps (n, 2, 2), see `warp`, as (n, size, size) uint8."""
    return np.floor(warp(scans, maps, size) * INK + 0.5).astype(np.uint8)


@functools.cache
def digit_quarters(part: str, size: int) -> NDArray[np.uint8]:
    """Return all quarters of upright digits in four turns, (16 n, size / 2, size / 2) uint8."""
    scans = digit_scans(part).scans
    return cut_quarters(draw_digits(scans, np.broadcast_to(np.eye(2), (len(scans), 2, 2)), size))
