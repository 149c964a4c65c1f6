"""What policies do after a look that did not help: look elsewhere, or at the same again?"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env import geometry

_IMAGES_AT_ONCE = 256


class SearchBehaviour(NamedTuple):
    """Of all looks but the first that follow one after which the classifier was wrong.

    Attributes:
        seen_again: mean share of the patch that earlier patches of the episode had shown.
        put_right: share of those looks after which the classifier was right.
    """

    seen_again: float
    put_right: float


def search_behaviour(
    correct: NDArray[np.bool_],
    locations: NDArray[np.float32],
    image_size: int,
    patch_size: int,
    looks: NDArray[np.int64] | None = None,
) -> SearchBehaviour | None:
    """Return how a policy searches on after a miss; None where there was none, or no look after.

    Args:
        correct: (n, T) bool, after each look.
        locations: (n, T - 1, 2) float32 in [0, 1], (row, col).
        image_size: S in pixels.
        patch_size: P in pixels.
        looks: (n,) int64 in [1, T], how many were taken, the glance included; None: all.
    """
    taken = np.full(len(correct), correct.shape[1]) if looks is None else looks
    again: list[NDArray[np.float64]] = []
    right: list[NDArray[np.bool_]] = []
    for start in range(0, len(correct), _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        shown = np.zeros((len(correct[part]), image_size, image_size), np.bool_)
        for look in range(locations.shape[1]):
            patch = _covered(locations[part, look], image_size, patch_size)
            if look > 0:
                missed = ~correct[part, look] & (taken[part] > look + 1)
                overlap = (patch & shown)[missed].sum((1, 2))
                again.append(overlap / patch_size**2)
                right.append(correct[part, look + 1][missed])
            shown |= patch
    if sum(map(len, again)) == 0:
        return None
    seen_again, put_right = (float(np.concatenate(each).mean()) for each in (again, right))
    return SearchBehaviour(seen_again, put_right)


def _covered(locations: NDArray[np.float32], image_size: int, patch_size: int) -> NDArray[np.bool_]:
    """Return (n, S, S) bool, the pixels that patches cover."""
    corners = geometry.corners(torch.from_numpy(locations), image_size, patch_size).numpy()
    along = np.arange(image_size)
    inside = (along >= corners[..., None]) & (along < corners[..., None] + patch_size)  # (n, 2, S)
    covered: NDArray[np.bool_] = inside[:, 0, :, None] & inside[:, 1, None, :]
    return covered
