"""The built-in task: one small real digit in a large cluttered scene.

After the cluttered-translated task of "Recurrent Models of Visual Attention" (Mnih et al., NeurIPS
2014), with the 1,797 handwritten digits that scikit-learn carries (UCI, Alpaydin and Kaynak 1998)
in the place of MNIST. A scene is 96 x 96 pixels; the digit is 10 pixels wide and stands among 10
distractors made of quarters of other digits.

A scene is a function of the split and its index alone: every random choice is a word of a
counter-based generator (Philox, Salmon et al. 2011) whose key is the split and whose counter is
the index, and the arithmetic on it is exact or correctly rounded, so all machines draw the same
scenes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import ImageSpec
from gf_env.storage.cache import cache_dir, cached_array

NAME = "cluttered-digits"
VERSION = 1
"""Goes up whenever a scene changes, so that results of different versions are never mixed."""

SPLIT_SIZES = {"pretrain": 100_000, "train": 20_000, "validation": 2_000, "test": 2_000}

IMAGE_SIZE = 96
DIGIT_SIZE = 10
NUM_DISTRACTORS = 10
MAX_TURN = 0.10
"""Tangent of the largest turn of the digit."""
MAX_SHEAR = 0.10
MAX_SCALE = 0.05
INK = 12
"""Brightness of one of a scan's 16 grey levels."""
NOISE_SHIFT = 3
"""Noise is a random byte shifted right by this, so 0 to 31 of 255."""

_POOLS = {"pretrain": "train", "train": "train", "validation": "validation", "test": "test"}
_HELD_OUT_SCANS = 200
_QUARTER = DIGIT_SIZE // 2
_TRAVEL = IMAGE_SIZE - DIGIT_SIZE + 1
_LAYOUT_WORDS = 8 + NUM_DISTRACTORS * 5 + 2  # a multiple of Philox's four words a counter
_NOISE_WORDS = IMAGE_SIZE * IMAGE_SIZE // 8
_CHUNK = 2_000

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Layout:
    """What is where in n scenes.

    Attributes:
        scans: (n,) int64, which scan the digit is, an index into the split's pool.
        labels: (n,) int64, the digit.
        transforms: (n, 2, 2) float64, output offsets to scan offsets, (row, col).
        corners: (n, 2) int64, top-left pixel of the digit's box, (row, col).
        distractor_corners: (n, 10, 2) int64, likewise.
        distractor_quarters: (n, 10, 4) int64, indices into the pool's quarters.
    """

    scans: NDArray[np.int64]
    labels: NDArray[np.int64]
    transforms: NDArray[np.float64]
    corners: NDArray[np.int64]
    distractor_corners: NDArray[np.int64]
    distractor_quarters: NDArray[np.int64]


class ClutteredDigits:
    """One split of the built-in task, a `Dataset`.

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
        check_split(split)
        self.split = split
        self._size = SPLIT_SIZES[split] if size is None else int(size)
        if self._size < 1:
            raise ValueError(f"a split needs one scene or more, got size={size}")
        stem = f"{NAME}-v{VERSION}-{split}-{self._size}"
        self._images = cached_array(
            cache_dir() / f"{stem}.npy",
            (self._size, 1, IMAGE_SIZE, IMAGE_SIZE),
            lambda: _image_chunks(split, self._size),
        )
        self._tensor = torch.from_numpy(self._images)
        truth = cached_array(
            cache_dir() / f"{stem}-truth.npy",
            (self._size, 3),
            lambda: _truth_chunks(split, self._size),
        ).astype(np.int64)
        self.labels = truth[:, 0]
        self.corners = truth[:, 1:]
        """(n, 2) int64: top-left pixel of each digit's box, (row, col)."""
        self.spec = SPEC

    def __len__(self) -> int:
        """Return the number of scenes."""
        return self._size

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the scenes at `indices`, (len(indices), 1, 96, 96) uint8."""
        return torch.from_numpy(self._images[indices])

    def tensor(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return all scenes, (n, 1, 96, 96) uint8, memory-mapped; all are valid."""
        return self._tensor


SPEC = ImageSpec(
    image_size=IMAGE_SIZE,
    channels=1,
    classes=tuple("0123456789"),
    mean=(0.087,),
    std=(0.115,),
)


def check_split(split: str) -> None:
    """Raise a ValueError that names the splits unless `split` is one of them."""
    if split not in SPLIT_SIZES:
        raise ValueError(f"unknown split {split!r} of {NAME}; choose one of {list(SPLIT_SIZES)}")


def scene_layout(split: str, start: int, count: int) -> Layout:
    """Return what is where in scenes start .. start + count - 1 of a split."""
    pool = _pool(_POOLS[split])
    words = _words(f"layout-{split}", start, count, _LAYOUT_WORDS)
    scans = _below(words[:, 0], len(pool.labels))
    corners = _below(words[:, 1:3], _TRAVEL)
    turn, shear, row_scale, col_scale = np.moveaxis(_symmetric(words[:, 3:7]), 1, 0)
    turn, shear = turn * MAX_TURN, shear * MAX_SHEAR
    row_scale, col_scale = 1.0 + row_scale * MAX_SCALE, 1.0 + col_scale * MAX_SCALE
    transforms = np.stack(
        [
            np.stack([row_scale, turn * col_scale], axis=-1),
            np.stack([(shear - turn) * row_scale, col_scale], axis=-1),
        ],
        axis=-2,
    )
    # A distractor's place relative to the digit, on a torus: its boxes never touch the digit's,
    # and no place
    # of the scene is left out.
    offsets = _clear_offsets()[_below(words[:, 8 : 8 + NUM_DISTRACTORS], len(_clear_offsets()))]
    quarter_words = words[:, 8 + NUM_DISTRACTORS : 8 + 5 * NUM_DISTRACTORS]
    quarters = _below(quarter_words, len(pool.quarters))
    return Layout(
        scans=scans,
        labels=pool.labels[scans],
        transforms=transforms,
        corners=corners,
        distractor_corners=(corners[:, None] + offsets) % _TRAVEL,
        distractor_quarters=quarters.reshape(count, NUM_DISTRACTORS, 4),
    )


def render_scenes(split: str, start: int, count: int) -> NDArray[np.uint8]:
    """Return scenes start .. start + count - 1 of a split, (count, 1, 96, 96) uint8."""
    pool = _pool(_POOLS[split])
    layout = scene_layout(split, start, count)
    scenes = np.zeros((count, IMAGE_SIZE * IMAGE_SIZE), np.uint8)
    for k in range(NUM_DISTRACTORS):
        quarters = pool.quarters[layout.distractor_quarters[:, k]]  # (count, 4, 5, 5)
        _draw(scenes, _join_quarters(quarters), layout.distractor_corners[:, k])
    _draw(scenes, _warp(pool.scans[layout.scans], layout.transforms), layout.corners)
    noise = _words(f"noise-{split}", start, count, _NOISE_WORDS).astype("<u8", copy=False)
    scenes += noise.view(np.uint8).reshape(scenes.shape) >> NOISE_SHIFT  # at most 16 * 12 + 31
    return scenes.reshape(count, 1, IMAGE_SIZE, IMAGE_SIZE)


def _image_chunks(split: str, size: int) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, size, _CHUNK):
        yield render_scenes(split, start, min(_CHUNK, size - start))


def _truth_chunks(split: str, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield each scene's label and corner; cached, too, so that scikit-learn can stay unloaded."""
    layout = scene_layout(split, 0, size)
    yield np.column_stack([layout.labels, layout.corners]).astype(np.uint8)


def _words(stream: str, start: int, count: int, words_per_scene: int) -> Words:
    """Return (count, words_per_scene) uint64; a scene's words depend on its index alone."""
    key = int.from_bytes(f"{VERSION}{stream}".encode()[:16].ljust(16), "little")
    bits = np.random.Philox(key=key, counter=start * (words_per_scene // 4))
    return bits.random_raw(count * words_per_scene).reshape(count, words_per_scene)


def _below(words: Words, bound: int) -> NDArray[np.int64]:
    """Return integers in [0, bound), by multiplying the upper 32 bits."""
    return ((words >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def _symmetric(words: Words) -> NDArray[np.float64]:
    """Return multiples of 2**-16 in [-1, 1)."""
    return (words >> np.uint64(47)).astype(np.float64) / 2**16 - 1.0


@functools.cache
def _clear_offsets() -> NDArray[np.int64]:
    """Return all (row, col) offsets on the torus at which two digit boxes do not touch, (m, 2)."""
    steps = np.arange(_TRAVEL)
    far = np.minimum(steps, _TRAVEL - steps) >= DIGIT_SIZE
    return np.argwhere(far[:, None] | far[None, :])


@dataclass(frozen=True)
class _Pool:
    scans: NDArray[np.float64]  # (n, 8, 8), 0 to 16
    labels: NDArray[np.int64]  # (n,)
    quarters: NDArray[np.uint8]  # (n * 16, 5, 5): every scan's four quarters in four turns


@functools.cache
def _pool(name: str) -> _Pool:
    # scikit-learn takes a second to import, and only making scenes needs it
    from sklearn.datasets import load_digits

    digits = load_digits()
    scans = digits.images.astype(np.float64)
    labels = digits.target.astype(np.int64)
    order = np.argsort(_words("scans", 0, len(labels), 4)[:, 0], kind="stable")
    parts = {
        "test": order[:_HELD_OUT_SCANS],
        "validation": order[_HELD_OUT_SCANS : 2 * _HELD_OUT_SCANS],
        "train": order[2 * _HELD_OUT_SCANS :],
    }
    chosen = parts[name]
    upright = np.broadcast_to(np.eye(2), (len(chosen), 2, 2))
    return _Pool(scans[chosen], labels[chosen], _cut_quarters(_warp(scans[chosen], upright)))


def _warp(scans: NDArray[np.float64], transforms: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draw scans (n, 8, 8) as (n, 10, 10) uint8 through `transforms`, bilinear, black outside.

    Only additions, multiplications and floors: correctly rounded, hence equal on every machine.
    """
    count, scan_size = len(scans), scans.shape[-1]
    reach = (np.arange(DIGIT_SIZE) - (DIGIT_SIZE - 1) / 2) * (scan_size / DIGIT_SIZE)
    rows, cols = (axis[None] for axis in np.meshgrid(reach, reach, indexing="ij"))
    matrix = transforms[:, :, :, None, None]
    centre = (scan_size - 1) / 2 + 1  # in the scan with a black border of one pixel
    source_rows = matrix[:, 0, 0] * rows + matrix[:, 0, 1] * cols + centre
    source_cols = matrix[:, 1, 0] * rows + matrix[:, 1, 1] * cols + centre
    source_rows = np.clip(source_rows, 0.0, scan_size + 1.0)
    source_cols = np.clip(source_cols, 0.0, scan_size + 1.0)
    top = np.minimum(np.floor(source_rows).astype(np.int64), scan_size)
    left = np.minimum(np.floor(source_cols).astype(np.int64), scan_size)
    down, right = source_rows - top, source_cols - left
    bordered = np.pad(scans, ((0, 0), (1, 1), (1, 1)))
    n = np.arange(count)[:, None, None]
    upper = bordered[n, top, left] * (1 - right) + bordered[n, top, left + 1] * right
    lower = bordered[n, top + 1, left] * (1 - right) + bordered[n, top + 1, left + 1] * right
    drawn: NDArray[np.float64] = np.floor((upper * (1 - down) + lower * down) * INK + 0.5)
    return drawn.astype(np.uint8)


def _cut_quarters(drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    halves = slice(0, _QUARTER), slice(_QUARTER, DIGIT_SIZE)
    quarters = [drawn[:, rows, cols] for rows in halves for cols in halves]
    turned = [np.rot90(quarter, turn, axes=(1, 2)) for quarter in quarters for turn in range(4)]
    return np.concatenate(turned)


def _join_quarters(quarters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 4, 5, 5) -> (n, 10, 10)."""
    grid = quarters.reshape(-1, 2, 2, _QUARTER, _QUARTER)
    return grid.transpose(0, 1, 3, 2, 4).reshape(-1, DIGIT_SIZE, DIGIT_SIZE)


def _draw(
    scenes: NDArray[np.uint8], objects: NDArray[np.uint8], corners: NDArray[np.int64]
) -> None:
    """Lay objects (n, 10, 10) into flat scenes (n, 9216) in place; the brighter pixel wins."""
    box = np.arange(DIGIT_SIZE)
    rows = corners[:, 0, None, None] + box[None, :, None]
    cols = corners[:, 1, None, None] + box[None, None, :]
    pixels = rows * IMAGE_SIZE + cols
    n = np.arange(len(scenes))[:, None, None]
    scenes[n, pixels] = np.maximum(scenes[n, pixels], objects)
