"""Small grey objects: turned and scaled, cut into quarters, and laid into scenes.

Only additions, multiplications and floors: exact or correctly rounded, hence equal on every
machine.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def linear_maps(turn: Floats, shear: Floats, row_scale: Floats, col_scale: Floats) -> Floats:
    """Return maps from offsets (row, col) in what is drawn to those in its original, (n, 2, 2).

    Args:
        turn: (n,) tangent of the angle.
        shear: (n,) how far a row is shifted against the one before.
        row_scale: (n,) how far apart drawn rows are in the original.
        col_scale: (n,) the same of columns.
    """
    upper = np.stack([row_scale, turn * col_scale], axis=-1)
    lower = np.stack([(shear - turn) * row_scale, col_scale], axis=-1)
    return np.stack([upper, lower], axis=-2)


def warp(originals: Floats, maps: Floats, size: int) -> Floats:
    """Draw originals (n, k, k) as (n, size, size), bilinear, with zeros outside.

    Args:
        originals: (n, k, k).
        maps: (n, 2, 2), see `linear_maps`; the identity draws the whole original.
        size: height and width of what is drawn.
    """
    count, original_size = len(originals), originals.shape[-1]
    reach = (np.arange(size) - (size - 1) / 2) * (original_size / size)
    rows, cols = reach[:, None], reach
    matrix = maps[:, :, :, None, None]
    centre = (original_size - 1) / 2 + 1  # in the original with a border of one pixel
    source_rows = matrix[:, 0, 0] * rows + matrix[:, 0, 1] * cols + centre
    source_cols = matrix[:, 1, 0] * rows + matrix[:, 1, 1] * cols + centre
    source_rows = np.clip(source_rows, 0.0, original_size + 1.0)
    source_cols = np.clip(source_cols, 0.0, original_size + 1.0)
    top = np.minimum(np.floor(source_rows).astype(np.int64), original_size)
    left = np.minimum(np.floor(source_cols).astype(np.int64), original_size)
    down, right = source_rows - top, source_cols - left
    width = original_size + 2
    bordered = np.pad(originals, ((0, 0), (1, 1), (1, 1))).ravel()
    places = (np.arange(count)[:, None, None] * width + top) * width + left
    upper = bordered[places] * (1 - right) + bordered[places + 1] * right
    places += width
    lower = bordered[places] * (1 - right) + bordered[places + 1] * right
    drawn: Floats = upper * (1 - down) + lower * down
    return drawn


def cut_quarters(objects: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the four quarters of objects (n, k, k) in four turns, (16 n, k / 2, k / 2)."""
    middle = objects.shape[-1] // 2
    halves = slice(0, middle), slice(middle, None)
    quarters = [objects[:, rows, cols] for rows in halves for cols in halves]
    turned = [np.rot90(quarter, turn, axes=(1, 2)) for quarter in quarters for turn in range(4)]
    return np.concatenate(turned)


def join_quarters(quarters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return objects (n, k, k) made of quarters (n, 4, k / 2, k / 2), in reading order."""
    count, _, middle, _ = quarters.shape
    grid = quarters.reshape(count, 2, 2, middle, middle)
    return grid.transpose(0, 1, 3, 2, 4).reshape(count, 2 * middle, 2 * middle)


def lay(scenes: NDArray[np.uint8], objects: NDArray[np.uint8], corners: NDArray[np.int64]) -> None:
    """Lay one object into each scene, in place; the brighter pixel wins.

    Args:
        scenes: (n, S, S), of one channel.
        objects: (n, k, k).
        corners: (n, 2) top-left pixels, (row, col) in [0, S - k].
    """
    box = objects.shape[-2:]
    boxes = sliding_window_view(scenes, box, axis=(-2, -1), writeable=True)
    where = np.arange(len(scenes)), corners[:, 0], corners[:, 1]
    boxes[where] = np.maximum(boxes[where], objects)


def lay_coloured(
    scenes: NDArray[np.uint8],
    objects: NDArray[np.uint8],
    corners: NDArray[np.int64],
    colours: NDArray[np.uint8],
) -> None:
    """Lay one object into each scene in a colour, in place; see `lay`.

    Args:
        scenes: (n, 3, S, S).
        objects: (n, k, k).
        corners: (n, 2) top-left pixels, (row, col) in [0, S - k].
        colours: (n, 3) 0 or 1, whether the object is seen in a channel.
    """
    for channel in range(scenes.shape[1]):
        lay(scenes[:, channel], objects * colours[:, channel, None, None], corners)


def clear_offsets(travel: int, size: int) -> NDArray[np.int64]:
    """Return where a box may be, relative to another, so that the two do not touch.

    Corners are on a torus of `travel` x `travel` places, so every place of a scene is as likely.

    Args:
        travel: number of places of a corner in a row or column.
        size: height and width of both boxes.

    Returns:
        (m, 2) int64, (row, col) in [0, travel).
    """
    steps = np.arange(travel)
    far = np.minimum(steps, travel - steps) >= size
    return np.argwhere(far[:, None] | far[None, :])
