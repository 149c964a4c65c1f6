"""Random choices for scenes: each scene's are a function of a key and the scene's index alone.

Every choice is a 64-bit word of a counter-based generator (Philox, Salmon et al. 2011) whose key is
the name of a stream and whose counter is the index. The arithmetic on the words is exact, so all
machines choose the same, in whatever order and batches scenes are made.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_WORDS_PER_COUNT = 4  # Philox makes four words for each value of its counter
_KEY_BYTES = 16


class SceneWords:
    """The random words of some scenes, handed out field by field.

    Args:
        stream: what the words are for, at most 16 ASCII characters; other streams have other words.
        indices: (n,) int64, which scenes. Neighbours that are in order are made in one go.
        words_per_scene: how many words a scene may use; part of what the words depend on.

    Raises:
        ValueError: a longer name of a stream, whose end would make no difference.
    """

    def __init__(self, stream: str, indices: NDArray[np.int64], words_per_scene: int) -> None:
        if len(stream) > _KEY_BYTES:
            raise ValueError(f"a stream's name has at most {_KEY_BYTES} characters, got {stream!r}")
        key = int.from_bytes(stream.encode("ascii").ljust(_KEY_BYTES), "little")
        counts = -(-words_per_scene // _WORDS_PER_COUNT)  # rounded up
        self._words = np.empty((len(indices), counts * _WORDS_PER_COUNT), np.uint64)
        philox = np.random.Philox(key=key)
        state = philox.state  # to set it takes a tenth of the time that another generator takes
        for rows in _runs(indices):
            state["state"]["counter"][:2] = _halves(int(indices[rows.start]) * counts)
            philox.state = state
            words = self._words[rows]
            words[:] = philox.random_raw(words.size).reshape(words.shape)
        self._used = 0

    def take(self, *shape: int) -> NDArray[np.uint64]:
        """Return each scene's next words, (n, *shape) uint64."""
        first, count = self._used, int(np.prod(shape))
        self._used += count
        if self._used > self._words.shape[1]:
            raise ValueError(
                f"there are {self._words.shape[1]} words a scene, {self._used} were asked for; "
                "raise words_per_scene"
            )
        return self._words[:, first : self._used].reshape(len(self._words), *shape)

    def below(self, bound: int | NDArray[np.int64], *shape: int) -> NDArray[np.int64]:
        """Return integers in [0, bound), (n, *shape) int64, by multiplying the upper 32 bits.

        Args:
            bound: at most 2^32; one for all, or of a shape that broadcasts against (n, *shape).
            *shape: of each scene's integers.
        """
        words = self.take(*shape) >> np.uint64(32)
        return (words * np.asarray(bound, np.uint64) >> np.uint64(32)).astype(np.int64)

    def distinct(self, bound: int, count: int) -> NDArray[np.int64]:
        """Return different integers in [0, bound) in random order, (n, count) int64."""
        return np.argsort(self.take(bound), axis=1, kind="stable")[:, :count]

    def symmetric(self, *shape: int) -> NDArray[np.float64]:
        """Return multiples of 2**-16 in [-1, 1), (n, *shape) float64."""
        return (self.take(*shape) >> np.uint64(47)).astype(np.float64) / 2**16 - 1.0

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Return bytes in [0, 255], (n, *shape) uint8; their number is a multiple of eight."""
        words = self.take(int(np.prod(shape)) // 8)
        return words.astype("<u8", copy=False).view(np.uint8).reshape(len(words), *shape)


def _halves(counter: int) -> tuple[int, int]:
    """Return a number below 2^128 in words of 64 bits, the lower one first."""
    upper, lower = divmod(counter, 1 << 64)
    return lower, upper


def _runs(indices: NDArray[np.int64]) -> Iterator[slice]:
    """Yield the slices of consecutive numbers that indices are made of."""
    bounds = np.flatnonzero(np.diff(indices) != 1) + 1
    starts, stops = [0, *bounds], [*bounds, len(indices)]
    return (slice(start, stop) for start, stop in zip(starts, stops, strict=True) if stop > start)
