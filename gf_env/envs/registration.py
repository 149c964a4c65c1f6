"""The ids of the built-in tasks, registered with Gymnasium without loading torch."""

from collections.abc import Iterator
from typing import Any

import gymnasium

from gf_env.builtin_tasks import BUILTIN_TASKS, BuiltinTask


def _forms(task: BuiltinTask) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what follows a task's stem in its ids, and the arguments that it stands for."""
    yield "", {}
    yield "Grid", {"grid_size": True}
    if task.stop_cost is not None:
        stop = {"stop": True, "look_cost": task.stop_cost}
        yield "Stop", stop
        yield "StopGrid", {**stop, "grid_size": True}


ENV_IDS: dict[str, dict[str, Any]] = {
    f"{task.id_stem}{form}-v0": {"dataset": task.name, **arguments}
    for task in BUILTIN_TASKS.values()
    for form, arguments in _forms(task)
}
"""Every id, with the arguments that it stands for."""


def register_ids() -> None:
    """Register the ids that are not yet."""
    for env_id, arguments in ENV_IDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="gf_env.envs.env:GlanceFocusEnv",
                vector_entry_point="gf_env.envs.vector_env:GlanceFocusVectorEnv",
                kwargs=arguments,
            )
