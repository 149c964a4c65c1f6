"""Cluttered digits: one small real digit in a large cluttered scene.

After the cluttered-translated task of "Recurrent Models of Visual Attention" (Mnih et al., NeurIPS
2014), with the 1,797 handwritten digits that scikit-learn carries (UCI, Alpaydin and Kaynak 1998)
in the place of MNIST. A scene is 96 x 96 pixels; the digit is 10 pixels wide and stands among 10
distractors made of quarters of other digits.

## Card
Ids: `GlanceFocus-v0`, `GlanceFocusGrid-v0` (7 x 7). T = 5 at all levels.
Asks for: to find what the glance shows as a smear.
Does worse: rules that do not see. A discount of 0 does as well as any.
Levels: 4, 10 or 20 distractors.

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
from gf_env.datasets.scenes.digit_scans import digit_quarters, digit_scans, draw_digits
from gf_env.datasets.scenes.digits_apart import DIGIT_SIZE, MAX_SCALE, MAX_SHEAR, MAX_TURN
from gf_env.datasets.scenes.drawing import clear_offsets, join_quarters, lay, linear_maps

IMAGE_SIZE = 96

_TRAVEL = IMAGE_SIZE - DIGIT_SIZE + 1


@dataclass(frozen=True)
class Layout:
    """What is where in n scenes.

    Attributes:
        scans: (n,) int64, which scan the digit is, an index into the split's scans.
        labels: (n,) int64, the digit.
        transforms: (n, 2, 2) float64, output offsets to scan offsets, (row, col).
        corners: (n, 2) int64, top-left pixel of the digit's box, (row, col).
        distractor_corners: (n, d, 2) int64, likewise.
        distractor_quarters: (n, d, 4) int64, indices into the split's quarters.
    """

    scans: NDArray[np.int64]
    labels: NDArray[np.int64]
    transforms: NDArray[np.float64]
    corners: NDArray[np.int64]
    distractor_corners: NDArray[np.int64]
    distractor_quarters: NDArray[np.int64]


@dataclass(frozen=True)
class ClutteredDigits(SceneKind):
    """The task at one level; the object is the digit.

    Attributes:
        num_distractors: how many other things are in a scene, d.
    """

    num_distractors: int

    version = 1
    content_sizes = (DIGIT_SIZE,) * len(DIGITS)

    @property
    @override
    def spec(self) -> ImageSpec:
        return ImageSpec(
            image_size=IMAGE_SIZE, channels=1, classes=DIGITS, mean=(0.087,), std=(0.115,)
        )

    @override
    def truth(self, split: str, indices: Indices) -> Truth:
        layout = self.layout(split, indices)
        return Truth(layout.labels, layout.corners[:, None], layout.labels[:, None])

    def layout(self, split: str, indices: Indices) -> Layout:
        """Return what is where in scenes (n,) of a split."""
        part = SCAN_PARTS[split]
        words = self.words("layout", split, indices, 10 + 5 * self.num_distractors)
        labels = digit_scans(part).labels
        scans = words.below(len(labels))
        corners = words.below(_TRAVEL, 2)
        turn, shear, row_scale, col_scale = words.symmetric(4).T
        words.take(1)  # not used
        offsets = clear_offsets(_TRAVEL, DIGIT_SIZE)
        distractor_offsets = offsets[words.below(len(offsets), self.num_distractors)]
        return Layout(
            scans=scans,
            labels=labels[scans],
            transforms=linear_maps(
                turn * MAX_TURN,
                shear * MAX_SHEAR,
                1 + row_scale * MAX_SCALE,
                1 + col_scale * MAX_SCALE,
            ),
            corners=corners,
            distractor_corners=(corners[:, None] + distractor_offsets) % _TRAVEL,
            distractor_quarters=words.below(len(_quarters(split)), self.num_distractors, 4),
        )

    @override
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        layout = self.layout(split, indices)
        scenes = np.zeros((len(indices), 1, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
        for k in range(self.num_distractors):
            distractors = join_quarters(_quarters(split)[layout.distractor_quarters[:, k]])
            lay(scenes[:, 0], distractors, layout.distractor_corners[:, k])
        scans = digit_scans(SCAN_PARTS[split]).scans[layout.scans]
        drawn = draw_digits(scans, layout.transforms, DIGIT_SIZE)
        lay(scenes[:, 0], drawn, layout.corners)
        self.add_noise(scenes, split, indices)
        return scenes

    @override
    def words(self, use: str, split: str, indices: Indices, words_per_scene: int) -> SceneWords:
        if self.name != DEFAULT.name:
            return super().words(use, split, indices, words_per_scene)
        # the names of version 1 were cut off to fit a key
        return SceneWords(f"{self.version}{use}-{split}"[:16], indices, words_per_scene)


def _quarters(split: str) -> NDArray[np.uint8]:
    """Return what distractors are made of, (m, 5, 5) uint8."""
    return digit_quarters(SCAN_PARTS[split], DIGIT_SIZE)


DEFAULT = ClutteredDigits("cluttered-digits", num_distractors=10)
LEVELS = (
    ClutteredDigits("cluttered-digits-easy", num_distractors=4),
    DEFAULT,
    ClutteredDigits("cluttered-digits-hard", num_distractors=20),
)
