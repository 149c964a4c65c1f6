"""The built-in tasks by name: data sets whose scenes are made here, as many as asked for.

A new task is one file beside this one, and one line in the table.
"""

import functools
from collections.abc import Callable

from gf_env.datasets.base import Dataset
from gf_env.datasets.scenes.cluttered_digits import ClutteredDigits

SCENES: dict[str, Callable[[str, int | None], Dataset]] = {ClutteredDigits.name: ClutteredDigits}
"""Called with a split and a number of scenes, None for the split's usual one."""


@functools.lru_cache(maxsize=8)
def load_scenes(name: str, split: str, size: int | None) -> Dataset:
    """Return a split of a built-in task; many environments in one process share one copy."""
    return SCENES[name](split, size)
