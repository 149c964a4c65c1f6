"""What a policy may see of episodes, for the environments, the evaluation and adaptive inference.

The newest feature map and the classifier's state, as the paper's policies do or can (section
3.1), and more for ablations. The label is never in it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.geometry import location_to_action

Observation = dict[str, NDArray[np.float32]]


class Shown(Protocol):
    """What observations are made of: episodes, or the looks of a network that is trained.

    Attributes as of `gf_env.envs.episodes.Episodes`.
    """

    @property
    def step(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def features(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def glance_features(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def hidden(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def logits(self) -> torch.Tensor: ...  # noqa: D102
    @property
    def locations(self) -> torch.Tensor: ...  # noqa: D102


_EXTRA: dict[str, Callable[[Shown], torch.Tensor]] = {
    "glance": lambda state: state.glance_features,
    "locations": lambda state: location_to_action(state.locations),
    "step": lambda state: state.step[:, None].float(),
    "probabilities": lambda state: state.logits.softmax(1),
}
EXTRA_OBSERVATIONS = tuple(_EXTRA)


def observation_tensors(state: Shown, observe: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """Return what a policy may see of n episodes.

    Args:
        state: the episodes.
        observe: extra keys, out of `EXTRA_OBSERVATIONS`.

    Returns:
        `features` (n, channels, h, w) and `hidden_state` (n, H); where asked for, `glance`
        (n, channels, h, w), `locations` (n, T - 1, 2) in [-1, 1], `step` (n, 1) and
        `probabilities` (n, classes) in [0, 1]. All float32.

    Raises:
        ValueError: an unknown extra key.
    """
    check_observe(observe)
    seen = {"features": state.features, "hidden_state": state.hidden}
    return seen | {key: _EXTRA[key](state) for key in observe}


def observation(state: Shown, observe: Sequence[str] = ()) -> Observation:
    """Return `observation_tensors` as fresh, C-contiguous float32 arrays."""
    seen = observation_tensors(state, observe)
    return {key: np.array(value.cpu().numpy(), order="C") for key, value in seen.items()}


def newest_patch(locations: torch.Tensor, step: torch.Tensor, grid_size: int) -> torch.Tensor:
    """Return which patch of a grid the newest look was at, by what is seen of n episodes.

    Args:
        locations: (n, T - 1, 2) in [-1, 1], (row, col), the looks so far.
        step: (n, 1), how many they are, glance included.
        grid_size: n' for n' x n' patches.

    Returns:
        (n,) int64, row-major; any patch where there was only the glance.
    """
    newest = (step.long() - 2).clamp(min=0)[:, :, None]  # (n, 1, 1)
    place = locations.gather(1, newest.expand(-1, 1, 2))[:, 0]
    row, col = ((place + 1) / 2 * (grid_size - 1)).round().long().unbind(1)
    return row * grid_size + col


def check_observe(observe: Sequence[str]) -> None:
    """Check extra keys.

    Raises:
        ValueError: an unknown one, or a plain string instead of a tuple.
    """
    unknown = [key for key in observe if key not in EXTRA_OBSERVATIONS]
    if isinstance(observe, str) or unknown:
        raise ValueError(
            f"observe takes a tuple of extra keys out of {list(EXTRA_OBSERVATIONS)}, "
            f"got {observe!r}"
        )
