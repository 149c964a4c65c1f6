"""Marks of cases that `make test-slow` runs."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """Return a case of `pytest.mark.parametrize` that is slow."""
    return pytest.param(*values, marks=pytest.mark.slow)


def slow_but(quick: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Return values as cases; all but the quick ones are slow."""
    return [value if value in quick else slow(value) for value in values]
