"""Random choices for scenes: each scene's are a function of a key and the scene's index alone.

Every choice is a 64-bit word of a counter-based generator (Philox, Salmon et al. 2011) whose key is
the name of a stream and whose counter is the index. The arithmetic on the words is exact, so all
machines choose the same, in whatever order and batches scenes are made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORDS_PER_COUNT = 4  # Philox makes four words for each value of its counter
_KEY_BYTES = 16


class SceneWords:
    """The random words of some scenes, handed out field by field.

    Args:
        stream: what the words are for, at most 16 ASCII characters; other streams have other words.
        start: index of the first scene.
        count: number of scenes n.
        words_per_scene: how many words a scene may use; part of what the words depend on.

    Raises:
        ValueError: a longer name of a stream, whose end would make no difference.
    """

    def __init__(self, stream: str, start: int, count: int, words_per_scene: int) -> None:
        if len(stream) > _KEY_BYTES:
            raise ValueError(f"a stream's name has at most {_KEY_BYTES} characters, got {stream!r}")
        key = int.from_bytes(stream.encode("ascii").ljust(_KEY_BYTES), "little")
        counts = -(-words_per_scene // _WORDS_PER_COUNT)  # rounded up
        words = np.random.Philox(key=key, counter=start * counts).random_raw(
            count * counts * _WORDS_PER_COUNT
        )
        self._words = words.reshape(count, counts * _WORDS_PER_COUNT)
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
        return self._words[:, first : self._used].reshape(-1, *shape)

    def below(self, bound: int, *shape: int) -> NDArray[np.int64]:
        """Return integers in [0, bound), (n, *shape) int64, by multiplying the upper 32 bits."""
        words = self.take(*shape)
        return ((words >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)

    def symmetric(self, *shape: int) -> NDArray[np.float64]:
        """Return multiples of 2**-16 in [-1, 1), (n, *shape) float64."""
        return (self.take(*shape) >> np.uint64(47)).astype(np.float64) / 2**16 - 1.0

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Return bytes in [0, 255], (n, *shape) uint8; their number is a multiple of eight."""
        words = self.take(int(np.prod(shape)) // 8)
        return words.astype("<u8", copy=False).view(np.uint8).reshape(len(words), *shape)
