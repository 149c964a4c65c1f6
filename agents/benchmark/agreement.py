"""To which digit two rows of one run agree, figure by figure and array by array.

Times, machines and names are no figures.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.benchmark.results import Result

_NO_FIGURES = ("policy", "setting", "seconds", "made", "arrays")
"""Fields of rows that may differ between two that did the same; the arrays themselves may not."""
_SECONDS_OF_A_POINT = 1
"""In a point of a learning curve."""


@dataclass(frozen=True)
class Disagreement:
    """A figure of two rows that is not the same.

    Attributes:
        name: such as `deterministic.accuracy[4]`, or an array and the place in it.
        before: its value in one row, None where that has none.
        now: in the other.
        digits: the values differ by less than 10^-digits of the larger one, 0 or more; 0 too for
            what is no number.
    """

    name: str
    before: Any
    now: Any
    digits: int


def disagreements(
    before: tuple[Result, Mapping[str, NDArray[Any]]],
    now: tuple[Result, Mapping[str, NDArray[Any]]],
) -> list[Disagreement]:
    """Compare two rows of a run and their arrays; keys and specifications do not count.

    Figures that the row before does not have at all are left out: rows of older versions have less.

    Args:
        before: a row and its arrays, as of `ResultsFolder.arrays`; no arrays are not compared.
        now: likewise.

    Returns:
        Every figure that differs, and of every array the place that differs most; what agrees in
        fewest digits first.
    """
    (row, arrays), (other, other_arrays) = before, now
    found = [*_differing_figures(row, other)]
    if arrays and other_arrays:
        for name in sorted({*arrays} | {*other_arrays}):
            found += _differing_array(name, arrays.get(name), other_arrays.get(name))
    return sorted(found, key=lambda each: each.digits)


def _differing_figures(row: Result, other: Result) -> Iterator[Disagreement]:
    ours, theirs = figures_of(row), figures_of(other)
    known = {_stem(name) for name, value in ours.items() if value is not None}
    for name in {**ours, **theirs}:
        left, right = ours.get(name), theirs.get(name)
        if _stem(name) not in known:  # the row is from before it was kept
            continue
        if name.startswith(("key", "spec.")):  # what was asked for; newer versions say more
            continue
        if left != right and repr(left) != repr(right):  # NaN is like NaN
            yield Disagreement(name, left, right, same_digits(left, right))


def _stem(name: str) -> str:
    """Return a figure's name without its place in a sequence."""
    return name.partition("[")[0]


def _differing_array(
    name: str, before: NDArray[Any] | None, now: NDArray[Any] | None
) -> list[Disagreement]:
    """Return the place that differs most, if any does."""
    if before is None or now is None or before.shape != now.shape:
        was, is_now = (None if each is None else each.shape for each in (before, now))
        return [Disagreement(f"the shape of array {name!r}", was, is_now, 0)]
    places = np.flatnonzero(before.ravel() != now.ravel())
    found = [
        Disagreement(f"array {name!r} at {place}", left, right, same_digits(left, right))
        for place, left, right in zip(
            places.tolist(), before.flat[places].tolist(), now.flat[places].tolist(), strict=True
        )
        if repr(left) != repr(right)
    ]
    return [min(found, key=lambda each: each.digits)] if found else []


def same_digits(one: object, other: object) -> int:
    """Return in how many significant digits two different values agree; 0 for no numbers.

    Two numbers agree in d digits where they differ by less than 10^-d of the larger one.
    """
    numbers = [each for each in (one, other) if isinstance(each, int | float)]
    if len(numbers) < 2 or isinstance(one, bool) or not all(map(math.isfinite, numbers)):
        return 0
    difference = abs(numbers[0] - numbers[1])
    return max(0, math.ceil(-math.log10(difference / max(map(abs, numbers)))) - 1)


def figures_of(row: Result) -> dict[str, Any]:
    """Return what a row says by the figure's name, such as `deterministic.accuracy[4]`."""
    described = dataclasses.asdict(row)
    for name in _NO_FIGURES:
        del described[name]
    training = described["training"]
    if training is not None:
        del training["seconds"]
        training["curve"] = [
            [value for place, value in enumerate(point) if place != _SECONDS_OF_A_POINT]
            for point in training["curve"]
        ]
    return dict(_leaves(described))


def _leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in dicts and sequences, each with its path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, list | tuple):
        for place, value in enumerate(tree):
            yield from _leaves(value, f"{name}[{place}]")
    else:
        yield name, tree
