"""Landolt rings: one ring of three in a large colour scene has a gap; where is it?

The sign by which acuity is measured (Landolt 1888, ISO 8596): a ring whose gap is a fifth of its
height, as the stroke is, open to one of eight sides. It stands among closed rings on a mosaic of
dark colours, 25 pixels high in a scene of 480. At a fifth of the size its gap is one pixel wide:
there a ring is seen, and hardly whether it is open, let alone to which side. It is made so that a
plain network should need the resolution, while a glance tells where rings are.

It is a data set to train backbones of the paper on, from nothing, at the size of their patches (96
pixels). There is no built-in network for it and no id.

## Version history
Scenes 1: five rings in scenes of 288 pixels. At half the size a plain MobileNetV3 told the side.
Scenes 2: three rings in scenes of 480 pixels.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.scenes.base import Indices, SceneKind, Truth

SIDES = (
    *("north", "north-east", "east", "south-east"),
    *("south", "south-west", "west", "north-west"),
)
"""Where a gap is open to."""
RING_SIZE = 25
GAP = 5
"""Width of the gap and of the stroke, in pixels."""
TILE = 32
"""Height and width of a tile of the mosaic, in pixels; a ring stands anywhere within one."""
GROUND = 96
"""Tiles are darker in every channel."""
_RING_BRIGHTNESS = 160, 224

_SIZE = 480
_SIDE = _SIZE // TILE


class _Layout(NamedTuple):
    mosaic: NDArray[np.uint8]
    """(n, 15, 15, 3), colours of the tiles."""
    corners: NDArray[np.int64]
    """(n, k, 2), top-left pixels of the rings, that with the gap first."""
    colours: NDArray[np.uint8]
    """(n, k, 3)."""
    sides: NDArray[np.int64]
    """(n,)."""


@dataclass(frozen=True)
class LandoltRings(SceneKind):
    """Scenes of rings; the object is the one with the gap.

    Attributes:
        num_rings: how many, all but one closed.
    """

    num_rings: int

    version = 2
    split_sizes = MappingProxyType(
        {"pretrain": 20_000, "train": 5_000, "validation": 1_000, "test": 2_000}
    )
    stored = False
    content_names = SIDES
    content_sizes = (RING_SIZE,) * len(SIDES)
    kinds = (0,) * len(SIDES)
    kind_names = ("ring with a gap",)

    @property
    @override
    def spec(self) -> ImageSpec:
        mean, std = (0.249,) * 3, (0.120,) * 3
        return ImageSpec(image_size=_SIZE, channels=3, classes=SIDES, mean=mean, std=std)

    @override
    def truth(self, split: str, indices: Indices) -> Truth:
        layout = self._layout(split, indices)
        return Truth(layout.sides, layout.corners[:, :1], layout.sides[:, None])

    @override
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        layout = self._layout(split, indices)
        scenes = np.empty((len(indices), 3, _SIZE, _SIZE), np.uint8)
        in_tiles = scenes.reshape(-1, 3, _SIDE, TILE, _SIDE, TILE)
        in_tiles[:] = layout.mosaic.transpose(0, 3, 1, 2)[:, :, :, None, :, None]
        pixels = scenes.transpose(0, 2, 3, 1)
        box = np.arange(RING_SIZE)
        n = np.arange(len(indices))[:, None, None]
        closed = len(SIDES)
        for k in range(self.num_rings):
            drawn = _RINGS[layout.sides if k == 0 else np.full(len(indices), closed)]
            rows = layout.corners[:, k, 0, None, None] + box[:, None]
            cols = layout.corners[:, k, 1, None, None] + box
            colours = layout.colours[:, k, None, None]
            pixels[n, rows, cols] = np.where(drawn[..., None], colours, pixels[n, rows, cols])
        self.add_noise(scenes, split, indices)
        return scenes

    def _layout(self, split: str, indices: Indices) -> _Layout:
        tiles, k = _SIDE * _SIDE, self.num_rings
        words = self.words("layout", split, indices, 4 * tiles + 5 * k + 1)
        sides = words.below(len(SIDES))
        mosaic = words.below(GROUND, _SIDE, _SIDE, 3).astype(np.uint8)
        cells = words.distinct(tiles, k)
        corners = np.stack([cells // _SIDE, cells % _SIDE], axis=-1) * TILE
        corners += words.below(TILE - RING_SIZE + 1, k, 2)
        low, high = _RING_BRIGHTNESS
        colours = (low + words.below(high - low, k, 3)).astype(np.uint8)
        return _Layout(mosaic, corners, colours, sides)


def _rings() -> NDArray[np.bool_]:
    """Return the rings open to each side and the closed one, (9, 25, 25); whole numbers only."""
    # twice the distance from the centre, in pixels, so that all are whole
    rows, cols = 2 * np.indices((RING_SIZE, RING_SIZE)) - (RING_SIZE - 1)
    squared = rows**2 + cols**2
    ring = (squared <= RING_SIZE**2) & (squared > (RING_SIZE - 2 * GAP) ** 2)
    made = []
    for up, right in ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)):
        along, across = right * cols - up * rows, right * rows + up * cols
        # an oblique direction is the square root of two long
        gap = (along > 0) & (across**2 < GAP**2 * (up**2 + right**2))
        made.append(ring & ~gap)
    return np.stack([*made, ring])


_RINGS = _rings()

LEVELS = (LandoltRings("landolt-rings", num_rings=3),)
