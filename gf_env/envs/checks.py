"""What both environments check and refuse alike."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from gf_env.envs import rendering
from gf_env.envs.episodes import Episodes
from gf_env.envs.task import Task

RENDER_MODES = ["rgb_array"]


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
