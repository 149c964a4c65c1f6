"""What built-in tasks share: a kind of scene, and splits of any length of it.

A scene is a function of its kind, its split and its index alone, see `counter_random`. A split of
its usual length, or shorter, is made once and cached; a longer one is made as it is needed.
"""

import abc
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from gf_env.datasets.base import Dataset, ImageSpec, InMemory
from gf_env.datasets.scenes.counter_random import SceneWords
from gf_env.storage.arrays import cached_array

SPLIT_SIZES = {"pretrain": 100_000, "train": 20_000, "validation": 2_000, "test": 2_000}
"""How many scenes a split of a built-in task has if nothing else is asked for."""
SCAN_PARTS = {"pretrain": "train", "train": "train", "validation": "validation", "test": "test"}
"""Which part of the scans the digits of a split are from."""
DIGITS = tuple("0123456789")
_LONGEST = np.iinfo(np.int64).max
_LONGEST_KEPT = 1_000_000
"""Scenes in a split whose truth is kept, once it was made: tens of megabytes."""
NOISE_SHIFT = 3
"""Noise is a random byte shifted right by this, so 0 to 31 of 255."""

Indices = NDArray[np.int64]


class Truth(NamedTuple):
    """What a network and a policy are not told of n scenes.

    Attributes:
        labels: (n,) int64, the classes.
        objects: (n, k, 2) int64, top-left pixels of the k objects that count, (row, col).
        contents: (n, k) int64, what each of them is, a number in the kind's `content_names`.
    """

    labels: NDArray[np.int64]
    objects: NDArray[np.int64]
    contents: NDArray[np.int64]


@dataclass(frozen=True)
class SceneKind(abc.ABC):
    """A task at one level: how its scenes are made.

    Attributes:
        name: of the data set, such as `signposts-easy`.
    """

    name: str

    version: ClassVar[int]
    """Goes up whenever a scene changes, so that results of different versions are never mixed."""
    split_sizes: ClassVar[Mapping[str, int]] = MappingProxyType(SPLIT_SIZES)
    """How many scenes a split has if nothing else is asked for."""
    stored: ClassVar[bool] = True
    """Whether such splits are made once and cached; large scenes are made as they are needed."""
    content_names: ClassVar[tuple[str, ...]] = DIGITS
    """What objects can be; `Truth.contents` are indices into it."""
    content_sizes: ClassVar[tuple[int, ...]]
    """Height and width of each content, in pixels."""
    kinds: ClassVar[tuple[int, ...]] = (0,) * len(DIGITS)
    """Of each content, an index into `kind_names`."""
    kind_names: ClassVar[tuple[str, ...]] = ("digit",)
    """What the glance may tell of an object."""

    @property
    @abc.abstractmethod
    def spec(self) -> ImageSpec:
        """Size, channels, classes and normalisation of the scenes."""

    @property
    def num_objects(self) -> int:
        """How many objects that count are in a scene, k; one by default."""
        return 1

    @property
    def num_needed(self) -> int:
        """How many of the objects, the first ones, tell the label together; all by default."""
        return self.num_objects

    @abc.abstractmethod
    def truth(self, split: str, indices: Indices) -> Truth:
        """Return what is true of the scenes (n,) of a split."""

    @abc.abstractmethod
    def render(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        """Return the scenes (n,) of a split, (n, channels, S, S) uint8."""

    def words(self, use: str, split: str, indices: Indices, words_per_scene: int) -> SceneWords:
        """Return the random words of scenes (n,) for one use, such as `layout`."""
        stream = f"{self.name}/{self.version}/{use}/{split}"
        key = hashlib.sha256(stream.encode()).hexdigest()[:16]
        return SceneWords(key, indices, words_per_scene)

    def add_noise(self, scenes: NDArray[np.uint8], split: str, indices: Indices) -> None:
        """Add noise to scenes (n, channels, S, S) in place; none is brighter than 224 before."""
        pixels = int(np.prod(scenes.shape[1:]))
        noise = self.words("noise", split, indices, pixels // 8).bytes(*scenes.shape[1:])
        noise >>= NOISE_SHIFT
        scenes += noise


class _Split(Dataset):
    """What a split has of its kind of scenes; also a `gf_env.datasets.base.Located`."""

    def __init__(self, kind: SceneKind, split: str) -> None:
        self.kind, self.name, self.split, self.spec = kind, kind.name, split, kind.spec
        self.content_names, self.content_sizes = kind.content_names, kind.content_sizes
        self.kinds, self.kind_names = kind.kinds, kind.kind_names
        self.num_objects, self.num_needed = kind.num_objects, kind.num_needed


class Scenes(_Split, InMemory):
    """A split that is made once, cached, and memory-mapped: (n, channels, S, S) uint8.

    Args:
        kind: what the scenes are.
        split: `pretrain` (the frozen network learns on it), `train` (policies learn on it),
            `validation` or `test`. Scans of validation and test digits are disjoint from the
            others' and from each other.
        size: number of scenes. A longer split starts with the same scenes.
    """

    def __init__(self, kind: SceneKind, split: str, size: int) -> None:
        super().__init__(kind, split)
        side, k = self.spec.image_size, kind.num_objects
        name = f"{kind.name}-v{kind.version}-{split}-{size}"
        self._images = cached_array(
            name,
            (size, self.spec.channels, side, side),
            lambda rows: kind.render(split, np.arange(rows.start, rows.stop)),
        )
        # cached, too, so that scikit-learn can stay unloaded
        truth = cached_array(
            f"{name}-truth",
            (size, 1 + 3 * k),
            lambda rows: _as_bytes(kind.truth(split, np.arange(rows.start, rows.stop))),
        ).astype(np.int64)
        self._tensor = torch.from_numpy(self._images)
        self.labels = truth[:, 0]
        self.objects = truth[:, 1 : 1 + 2 * k].reshape(size, k, 2)
        self.contents = truth[:, 1 + 2 * k :]

    @override
    def __len__(self) -> int:
        return len(self._images)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how scenes are pickled and copied: by name, as they are a function of it."""
        size = None if len(self) == self.kind.split_sizes[self.split] else len(self)
        return load_scenes, (self.kind, self.split, size)

    @override
    def images(self, indices: Indices) -> torch.Tensor:
        return torch.from_numpy(self._images[indices])

    @override
    def tensor(self, indices: Indices) -> torch.Tensor:
        return self._tensor


class EndlessScenes(_Split):
    """A split of any length whose scenes are made when they are asked for, and never stored.

    Arguments and attributes as of `Scenes`; `labels`, `objects` and `contents` are made when they
    are indexed, too. An index outside the split is an IndexError.
    """

    def __init__(self, kind: SceneKind, split: str, size: int) -> None:
        super().__init__(kind, split)
        self._size = size
        self.labels: Any = _MadeWhenIndexed(self, "labels")
        self.objects: Any = _MadeWhenIndexed(self, "objects")
        self.contents: Any = _MadeWhenIndexed(self, "contents")

    @override
    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy what the scenes are, not what was kept of them."""
        return EndlessScenes, (self.kind, self.split, self._size)

    @override
    def images(self, indices: Indices) -> torch.Tensor:
        return torch.from_numpy(self.kind.render(self.split, self.checked(indices)))

    def checked(self, indices: Indices | int) -> Indices:
        """Return indices as int64; raise an IndexError at one outside the split."""
        numbers = np.asarray(indices, np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < self._size:
            raise IndexError(
                f"split {self.split!r} of {self.name} has scenes 0 to {self._size - 1}, "
                f"got indices from {numbers.min()} to {numbers.max()}"
            )
        return numbers


class _MadeWhenIndexed:
    """One field of the truth of `EndlessScenes`: an array that is made where it is indexed.

    It is kept unless the split is very long: learners come back to the same scenes, and making
    their labels anew took twice as long as learning from them.
    """

    def __init__(self, scenes: EndlessScenes, field: str) -> None:
        self._scenes, self._field = scenes, field
        self._known = np.zeros(len(scenes) if len(scenes) <= _LONGEST_KEPT else 0, np.bool_)
        self._kept: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, indices: Indices | slice | int) -> NDArray[np.int64]:
        if isinstance(indices, slice):
            indices = np.array(range(len(self))[indices], np.int64)
        numbers = self._scenes.checked(indices)
        wanted = numbers.ravel()
        made = self._looked_up(wanted) if len(self._known) else self._made(wanted)
        return made.reshape(numbers.shape + made.shape[1:])

    def _looked_up(self, numbers: Indices) -> NDArray[np.int64]:
        missing = np.unique(numbers[~self._known[numbers]])
        if self._kept is None or len(missing):
            made = self._made(missing)
            if self._kept is None:
                self._kept = np.zeros((len(self), *made.shape[1:]), np.int64)
            self._kept[missing] = made
            self._known[missing] = True
        return self._kept[numbers]

    def _made(self, numbers: Indices) -> NDArray[np.int64]:
        truth = self._scenes.kind.truth(self._scenes.split, numbers)
        made: NDArray[np.int64] = getattr(truth, self._field)
        return made


@functools.lru_cache(maxsize=8)
def load_scenes(kind: SceneKind, split: str, size: int | None) -> Scenes | EndlessScenes:
    """Return a split of a task; many environments in one process share one copy.

    Args:
        kind: what the scenes are.
        split: one of `kind.split_sizes`.
        size: number of scenes; the split's usual size by default. Up to that size they are cached,
            if scenes of the kind are; else each is made when it is needed.

    Raises:
        ValueError: unknown split, or a size that is no whole number or below 1.
    """
    usual = kind.split_sizes
    if split not in usual:
        raise ValueError(f"unknown split {split!r} of {kind.name}; choose one of {list(usual)}")
    size = usual[split] if size is None else size
    if not isinstance(size, (int, np.integer)) or not 1 <= size <= _LONGEST:
        raise ValueError(f"a split has a whole number of scenes, 1 to 2**63 - 1, got size={size!r}")
    stored = kind.stored and size <= usual[split]
    return (Scenes if stored else EndlessScenes)(kind, split, int(size))


def _as_bytes(truth: Truth) -> NDArray[np.uint8]:
    rows = len(truth.labels)
    parts = [truth.labels[:, None], truth.objects.reshape(rows, -1), truth.contents]
    joined = np.concatenate(parts, axis=1)
    if joined.max(initial=0) > np.iinfo(np.uint8).max:
        raise ValueError("places beyond pixel 255 cannot be stored; such a kind is not `stored`")
    return joined.astype(np.uint8)
