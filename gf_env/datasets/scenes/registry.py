"""Scenes by name: as many as asked for, made here.

A new task is one file beside this one, named as its data set is and with its `LEVELS`, and a row in
`gf_env.builtin_tasks`. A data set that is no task, without ids and a network of its own, is a file
and a name in `DATA_SETS`.
"""

import importlib

from gf_env.builtin_tasks import BUILTIN_TASKS
from gf_env.datasets.scenes.base import SceneKind


def _levels(task: str) -> tuple[SceneKind, ...]:
    module = importlib.import_module(f"{__package__}.{task.replace('-', '_')}")
    levels: tuple[SceneKind, ...] = module.LEVELS
    return levels


TASKS = {task: _levels(task) for task in BUILTIN_TASKS}
"""Each task at its levels: easy, default, hard."""

DATA_SETS = ("landolt-rings",)
"""Those that are no built-in task."""

SCENES: dict[str, SceneKind] = {
    kind.name: kind for levels in (*TASKS.values(), *map(_levels, DATA_SETS)) for kind in levels
}
