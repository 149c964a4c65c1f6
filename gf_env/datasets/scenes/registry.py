"""The built-in tasks by name: data sets whose scenes are made here, as many as asked for.

A new task is one file beside this one, and one line in the table.
"""

from gf_env.datasets.scenes import cluttered_digits, digit_sums, hidden_digits, signposts
from gf_env.datasets.scenes.base import SceneKind

TASKS = {
    "cluttered-digits": cluttered_digits.LEVELS,
    "hidden-digits": hidden_digits.LEVELS,
    "signposts": signposts.LEVELS,
    "digit-sums": digit_sums.LEVELS,
}
"""Each task at its levels: easy, default, hard."""

SCENES: dict[str, SceneKind] = {kind.name: kind for levels in TASKS.values() for kind in levels}
