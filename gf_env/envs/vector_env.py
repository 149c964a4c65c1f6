"""The built-in tasks as a native `gymnasium.vector.VectorEnv`, thin over `gf_env.envs.episodes`.

Equal, step for step, to a `SyncVectorEnv` of single environments in all three autoreset modes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from typing_extensions import Unpack

from gf_env.envs import checks
from gf_env.envs.episodes import Episodes
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.envs.observations import Observation
from gf_env.envs.task import Array

Rows = NDArray[np.int64]
Infos = dict[str, Any]


class GlanceFocusVectorEnv(VectorEnv[Observation, Any, Array]):
    """N environments in one batch.

    The card is that of `gf_env.envs.env.GlanceFocusEnv`.

    Args:
        num_envs: N.
        autoreset_mode: `SAME_STEP` (the default: `NEXT_STEP` would waste one step in five), in
            which the observation after an episode's last step is already the next one's;
            `NEXT_STEP`, which Gymnasium's vector wrappers and RLlib take for granted, see
            docs/LIBRARIES.md; or `DISABLED`, with which `reset(options={"reset_mask": mask})`
            starts new episodes. An `AutoresetMode` or its value.
        render_mode: None or `rgb_array`.
        **arguments: see `gf_env.envs.make_task.TaskArguments`.

    Raises:
        TypeError: an argument that does not exist.
        ValueError: an unknown or unfitting one; or RLlib makes environments that do not reset in
            the next step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium reads it from instances, too
        "render_modes": checks.RENDER_MODES,
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        **arguments: Unpack[TaskArguments],
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be 1 or more, got {num_envs}")
        self.num_envs = num_envs
        self.render_mode = checks.check_render_mode(render_mode)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        checks.check_maker(self.autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.task = make_task(**arguments)
        self.single_action_space = self.task.actions.space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self.task.observation_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._seeded: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._episodes: Episodes | None = None
        self._indices = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, np.bool_)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The sub-environments' generators."""
        return tuple(self._generator_and_seed(row)[0] for row in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the sub-environments' generators."""
        return tuple(self._generator_and_seed(row)[1] for row in range(self.num_envs))

    @torch.inference_mode()
    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, Infos]:
        """Glance at new images.

        Args:
            seed: sub-environment i gets seed + i, or the i-th of a sequence.
            options: `{"index": i}` shows image i in all, a sequence of N one in each;
                `{"reset_mask": mask}`, (N,) bool, leaves the others as they are.

        Raises:
            ValueError: unknown option, an index outside the split, or a sequence or mask of the
                wrong length.
            ResetNeeded: a mask that leaves out an environment that was never reset.
        """
        options = checks.check_options(options, ("index", "reset_mask"))
        rows = self._masked_rows(options.get("reset_mask"))
        seeds = self._per_env("seed", seed, lambda first, row: first + row)
        chosen = self._per_env("index", options.get("index"), lambda index, _: index)
        images = [
            None if chosen[row] is None else self.task.check_index(chosen[row]) for row in rows
        ]
        for row in rows:
            if seeds[row] is not None:
                self._seeded[row] = seeding.np_random(seeds[row])
        self._start(rows, images)
        observation = self.task.observation(checks.started(self._episodes))
        return observation, _with_masks(self._info(), np.isin(np.arange(self.num_envs), rows))

    @torch.inference_mode()
    def step(self, actions: Any) -> tuple[Observation, Array, Array, Array, Infos]:
        """Look at one patch in each image, or stop there.

        Args:
            actions: (N, 2) in [-1, 1], (row, col), or (N,) grid indices; with `stop`, (N, 3) or
                one index more. An environment whose episode has ended takes no notice of its own.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, when an episode has
                ended.
            ValueError: NaN, a wrong shape, or an index outside the action space.
        """
        episodes = checks.started(self._episodes)
        ended_before = np.flatnonzero(self._ended)
        if len(ended_before) and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ResetNeeded(
                f"the episodes of environments {ended_before.tolist()} have ended; "
                "start new ones with reset(options={'reset_mask': mask})"
            )
        rows = np.flatnonzero(~self._ended)
        look = self.task.actions.decode(self._actions_of(actions, rows), len(rows))
        rewards = np.zeros(self.num_envs)
        terminations = np.zeros(self.num_envs, np.bool_)
        if len(rows):
            every = len(rows) == self.num_envs  # then nothing has to be copied
            running = episodes if every else episodes.take(self._on_device(rows))
            running, gained, terminated = self.task.step(running, look)
            self._put(rows, running)
            rewards[rows] = gained.cpu().numpy()
            terminations[rows] = terminated.cpu().numpy()
        if len(ended_before):  # NEXT_STEP
            self._start(ended_before)
        self._ended = terminations.copy()
        infos = self._finish(terminations)
        observation = self.task.observation(checks.started(self._episodes))
        return observation, rewards, terminations, np.zeros_like(terminations), infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return every episode so far as an (H, W, 3) uint8 picture; see `checks.render`."""
        pictures = checks.render(self.render_mode, self.task, self._episodes)
        return tuple(pictures) if pictures else None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled and copied: of images, only which they are."""
        state = self.__dict__.copy()
        if self._episodes is not None:
            state["_episodes"] = self.task.without_images(self._episodes)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the images up again."""
        self.__dict__.update(state)
        if self._episodes is not None:
            self._episodes = self.task.with_images(self._episodes, self._indices)

    def _finish(self, ended: NDArray[np.bool_]) -> Infos:
        """Return the infos of a step, and start new episodes where the mode says so."""
        info, every = self._info(), np.ones(self.num_envs, np.bool_)
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not ended.any():
            return _with_masks(info, every)
        rows = np.flatnonzero(ended)
        observation = self.task.observation(checks.started(self._episodes))
        final = np.full(self.num_envs, None, dtype=object)
        for row in rows:
            final[row] = {key: value[row] for key, value in observation.items()}
        outcome = {
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": _with_masks(info, ended),
            "_final_info": ended.copy(),
        }
        self._start(rows)
        return {**outcome, **_with_masks(self._info(), every)}

    def _start(self, rows: Rows, images: Sequence[int | None] | None = None) -> None:
        """Start new episodes in `rows`, on the images given or, for None, on drawn ones."""
        count = len(self.task.dataset)
        indices = np.array(
            [
                self._generator_and_seed(row)[0].integers(count) if image is None else image
                for row, image in zip(rows, images or [None] * len(rows), strict=True)
            ]
        )
        self._put(rows, self.task.start(indices))
        self._indices[rows] = indices
        self._ended[rows] = False

    def _put(self, rows: Rows, others: Episodes) -> None:
        if self._episodes is None or len(rows) == self.num_envs:
            self._episodes = others
        else:
            self._episodes = self._episodes.put(self._on_device(rows), others)

    def _on_device(self, rows: Rows) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.task.device)

    def _generator_and_seed(self, row: int) -> tuple[np.random.Generator, int]:
        made = self._seeded[row] or seeding.np_random()
        self._seeded[row] = made
        return made

    def _info(self) -> dict[str, Array]:
        return self.task.info(checks.started(self._episodes), self._indices, self._ended)

    def _actions_of(self, actions: Any, rows: Rows) -> Array:
        array = np.asarray(actions)
        if array.ndim == 0 or len(array) != self.num_envs:
            raise ValueError(
                f"expected one action for each of {self.num_envs} environments, "
                f"got shape {array.shape}"
            )
        return array[rows]

    def _masked_rows(self, mask: Any) -> Rows:
        if mask is None:
            return np.arange(self.num_envs)
        array = np.asarray(mask)
        if array.shape != (self.num_envs,) or array.dtype != np.bool_ or not array.any():
            raise ValueError(
                f"reset_mask must be {self.num_envs} booleans with one True at least, got {mask!r}"
            )
        if self._episodes is None and not array.all():
            raise ResetNeeded("the first reset() must be of all environments, without reset_mask")
        return np.flatnonzero(array)

    def _per_env(self, name: str, value: Any, spread: Any) -> list[Any]:
        """Return one value for each environment, from None, one for all, or a sequence."""
        if value is None:
            return [None] * self.num_envs
        if isinstance(value, (int, np.integer)):
            return [spread(int(value), row) for row in range(self.num_envs)]
        values = list(value)
        if len(values) != self.num_envs:
            raise ValueError(
                f"{name} needs one value for each of {self.num_envs} environments, "
                f"got {len(values)}"
            )
        return values


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        valid = [member.value for member in AutoresetMode]
        raise ValueError(f"unknown autoreset_mode {mode!r}; choose one of {valid}") from error


def _with_masks(info: dict[str, Array], mask: NDArray[np.bool_]) -> Infos:
    """Return vector infos: values zeroed where the mask is False, the mask as `_key`.

    The values are fresh ones that nobody else keeps, so they are only copied to be zeroed.
    """
    infos: Infos = {}
    others = None if mask.all() else ~mask
    for key, value in info.items():
        kept = value
        if others is not None:
            kept = value.copy()
            kept[others] = 0
        infos[key], infos[f"_{key}"] = kept, mask.copy()
    return infos
