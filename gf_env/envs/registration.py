"""The ids of the built-in tasks, registered with Gymnasium without loading torch."""

from typing import Any

import gymnasium

from gf_env.builtin_tasks import BUILTIN_TASKS

ENV_IDS: dict[str, dict[str, Any]] = {
    f"{task.id_stem}{form}-v0": {"dataset": task.name, **arguments}
    for task in BUILTIN_TASKS.values()
    for form, arguments in (("", {}), ("Grid", {"grid_size": True}))
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
