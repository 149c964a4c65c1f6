"""What both environments check and refuse alike."""

import sys
import traceback
from typing import Any

import gymnasium
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gf_env.envs import rendering
from gf_env.envs.episodes import Episodes
from gf_env.envs.task import Task

RENDER_MODES = ["rgb_array"]
_RLLIB = "ray.rllib.env.single_agent_env_runner"
"""The module that makes RLlib's environments."""


def check_render_mode(render_mode: str | None) -> str | None:
    """Return a valid render mode.

    Raises:
        ValueError: unknown mode.
    """
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(
            f"unknown render_mode {render_mode!r}; choose None or one of {RENDER_MODES}"
        )
    return render_mode


def check_maker(mode: AutoresetMode) -> None:
    """Refuse a vector environment for RLlib that does not reset in the next step.

    RLlib (`SingleAgentEnvRunner`, 2.60) never asks when environments reset, so that another mode
    would be wrong without a word.

    Raises:
        ValueError: RLlib makes the environment, and the mode is another one.
    """
    if mode == AutoresetMode.NEXT_STEP or _RLLIB not in sys.modules:
        return
    callers = (frame.f_globals.get("__name__") for frame, _ in traceback.walk_stack(None))
    if _RLLIB in callers:
        raise ValueError(
            f"RLlib takes environments that reset in the next step, got autoreset_mode "
            f"{mode.value!r}: all episodes but the first would lose a step, and their last "
            'observation would be another\'s. Give it env_config={"autoreset_mode": "NextStep"}'
        )


def check_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """Return reset options, {} for None, and refuse those that would be ignored.

    Raises:
        ValueError: an unknown option.
    """
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        raise ValueError(f"unknown reset options {unknown}; choose from {list(known)}")
    return options or {}


def started(episodes: Episodes | None) -> Episodes:
    """Return episodes that there are.

    Raises:
        ResetNeeded: there are none yet.
    """
    if episodes is None:
        raise ResetNeeded("no episode has begun yet; call reset() first")
    return episodes


def render(
    render_mode: str | None, task: Task, episodes: Episodes | None
) -> list[NDArray[Any]] | None:
    """Return a picture of each episode so far, (H, W, 3) uint8, or warn and return None.

    Raises:
        ResetNeeded: there are no episodes yet.
    """
    if render_mode is None:
        gymnasium.logger.warn(
            'render() was called without a render mode; make the env with render_mode="rgb_array"'
        )
        return None
    return rendering.draw_episodes(task, started(episodes))
