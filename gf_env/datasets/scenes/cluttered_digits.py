"""The built-in task: one small real digit in a large cluttered scene.

After the cluttered-translated task of "Recurrent Models of Visual Attention" (Mnih et al., NeurIPS
2014), with the 1,797 handwritten digits that scikit-learn carries (UCI, Alpaydin and Kaynak 1998)
in the place of MNIST. A scene is 96 x 96 pixels; the digit is 10 pixels wide and stands among 10
distractors made of quarters of other digits.

A scene is a function of the split and its index alone, see `counter_random`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import Dataset, ImageSpec, InMemory
from gf_env.datasets.scenes.counter_random import SceneWords
from gf_env.datasets.scenes.digit_scans import digit_quarters, digit_scans, draw_digits
from gf_env.datasets.scenes.drawing import clear_offsets, join_quarters, lay, linear_maps
from gf_env.storage.arrays import cached_array

NAME = "cluttered-digits"
VERSION = 1
"""Goes up whenever a scene changes, so that results of different versions are never mixed."""

SPLIT_SIZES = {"pretrain": 100_000, "train": 20_000, "validation": 2_000, "test": 2_000}
SCAN_PARTS = {"pretrain": "train", "train": "train", "validation": "validation", "test": "test"}
"""Which part of the scans the digits of a split are from."""

IMAGE_SIZE = 96
DIGIT_SIZE = 10
NUM_DISTRACTORS = 10
MAX_TURN = 0.10
"""Tangent of the largest turn of the digit."""
MAX_SHEAR = 0.10
MAX_SCALE = 0.05
NOISE_SHIFT = 3
"""Noise is a random byte shifted right by this, so 0 to 31 of 255."""
SPEC = ImageSpec(
    image_size=IMAGE_SIZE,
    channels=1,
    classes=tuple("0123456789"),
    mean=(0.087,),
    std=(0.115,),
)

_TRAVEL = IMAGE_SIZE - DIGIT_SIZE + 1
_LAYOUT_WORDS = 60
_NOISE_WORDS = IMAGE_SIZE * IMAGE_SIZE // 8


@dataclass(frozen=True)
class Layout:
    """What is where in n scenes.

    Attributes:
        scans: (n,) int64, which scan the digit is, an index into the split's scans.
        labels: (n,) int64, the digit.
        transforms: (n, 2, 2) float64, output offsets to scan offsets, (row, col).
        corners: (n, 2) int64, top-left pixel of the digit's box, (row, col).
        distractor_corners: (n, 10, 2) int64, likewise.
        distractor_quarters: (n, 10, 4) int64, indices into the split's quarters.
    """

    scans: NDArray[np.int64]
    labels: NDArray[np.int64]
    transforms: NDArray[np.float64]
    corners: NDArray[np.int64]
    distractor_corners: NDArray[np.int64]
    distractor_quarters: NDArray[np.int64]


class ClutteredDigits(Dataset, InMemory):
    """One split of the built-in task: (n, 1, 96, 96) uint8 scenes, memory-mapped.

    Args:
        split: `pretrain` (the frozen network learns on it), `train` (policies learn on it),
            `validation` or `test`. Scans of validation and test digits are disjoint from the
            others' and from each other.
        size: number of scenes; the split's usual size by default. A longer split starts with the
            same scenes.

    Raises:
        ValueError: unknown split or a size below 1.
    """

    name = NAME

    def __init__(self, split: str, size: int | None = None) -> None:
        if split not in SPLIT_SIZES:
            raise ValueError(
                f"unknown split {split!r} of {NAME}; choose one of {list(SPLIT_SIZES)}"
            )
        self.split = split
        self._size = SPLIT_SIZES[split] if size is None else int(size)
        if self._size < 1:
            raise ValueError(f"a split needs one scene or more, got size={size}")
        name = f"{NAME}-v{VERSION}-{split}-{self._size}"
        shape = (self._size, 1, IMAGE_SIZE, IMAGE_SIZE)
        self._images = cached_array(
            name, shape, lambda rows: render_scenes(split, rows.start, len(rows))
        )
        self._tensor = torch.from_numpy(self._images)
        truth = cached_array(
            f"{name}-truth", (self._size, 3), lambda rows: _truth(split, rows)
        ).astype(np.int64)
        self.labels = truth[:, 0]
        self.corners = truth[:, 1:]
        """(n, 2) int64: top-left pixel of each digit's box, (row, col)."""
        self.spec = SPEC

    @override
    def __len__(self) -> int:
        return self._size

    @override
    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self._images[indices])

    @override
    def tensor(self, indices: NDArray[np.int64]) -> torch.Tensor:
        return self._tensor


def scene_layout(split: str, start: int, count: int) -> Layout:
    """Return what is where in scenes start .. start + count - 1 of a split."""
    part = SCAN_PARTS[split]
    words = _words("layout", split, start, count, _LAYOUT_WORDS)
    labels = digit_scans(part).labels
    scans = words.below(len(labels))
    corners = words.below(_TRAVEL, 2)
    turn, shear, row_scale, col_scale = words.symmetric(4).T
    words.take(1)  # not used
    offsets = clear_offsets(_TRAVEL, DIGIT_SIZE)
    distractor_offsets = offsets[words.below(len(offsets), NUM_DISTRACTORS)]
    return Layout(
        scans=scans,
        labels=labels[scans],
        transforms=linear_maps(
            turn * MAX_TURN, shear * MAX_SHEAR, 1 + row_scale * MAX_SCALE, 1 + col_scale * MAX_SCALE
        ),
        corners=corners,
        distractor_corners=(corners[:, None] + distractor_offsets) % _TRAVEL,
        distractor_quarters=words.below(len(_quarters(split)), NUM_DISTRACTORS, 4),
    )


def render_scenes(split: str, start: int, count: int) -> NDArray[np.uint8]:
    """Return scenes start .. start + count - 1 of a split, (count, 1, 96, 96) uint8."""
    layout = scene_layout(split, start, count)
    scenes = np.zeros((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for k in range(NUM_DISTRACTORS):
        distractors = join_quarters(_quarters(split)[layout.distractor_quarters[:, k]])
        lay(scenes, distractors, layout.distractor_corners[:, k])
    scans = digit_scans(SCAN_PARTS[split]).scans[layout.scans]
    lay(scenes, draw_digits(scans, layout.transforms, DIGIT_SIZE), layout.corners)
    noise = _words("noise", split, start, count, _NOISE_WORDS).bytes(IMAGE_SIZE, IMAGE_SIZE)
    scenes += noise >> NOISE_SHIFT  # at most 16 * 12 + 31
    return scenes[:, None]


def _words(use: str, split: str, start: int, count: int, words_per_scene: int) -> SceneWords:
    # the names of version 1 were cut off to fit a key
    return SceneWords(f"{VERSION}{use}-{split}"[:16], start, count, words_per_scene)


def _quarters(split: str) -> NDArray[np.uint8]:
    """Return what distractors are made of, (m, 5, 5) uint8."""
    return digit_quarters(SCAN_PARTS[split], DIGIT_SIZE)


def _truth(split: str, rows: range) -> NDArray[np.uint8]:
    """Return each scene's label and corner; cached, too, so that scikit-learn can stay unloaded."""
    layout = scene_layout(split, rows.start, len(rows))
    return np.column_stack([layout.labels, layout.corners]).astype(np.uint8)
