"""The built-in tasks as a `gymnasium.Env`: one episode, thin over `gf_env.envs.episodes`."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from typing_extensions import Unpack

from gf_env.envs import checks
from gf_env.envs.actions import Look
from gf_env.envs.episodes import Episodes
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.envs.observations import Observation


class GlanceFocusEnv(gymnasium.Env[Observation, Any]):
    """Choose where a classifier looks next.

    ## Description
    A frozen GFNet ("Glance and Focus", arXiv 2010.05300) has glanced at a small copy of an image.
    At every step the agent picks a patch of the image that the network then sees at full
    resolution, so as to make it sure of the right class.

    The built-in tasks have the same spaces and each asks for something else; the card of each is
    with its scenes, in `gf_env.datasets.scenes`:

    | id                        | data set           | asks for  | T        | does worse           |
    |---------------------------|--------------------|-----------|----------|----------------------|
    | `GlanceFocus-v0`          | `cluttered-digits` | find      | 5        | blind rules          |
    | `GlanceFocusSearch-v0`    | `hidden-digits`    | search on | 7, 9, 13 | no memory            |
    | `GlanceFocusSignposts-v0` | `signposts`        | plan      | 3        | discount 0           |
    | `GlanceFocusSums-v0`      | `digit-sums`       | join      | 3, 3, 5  | discount 0, one look |

    T is the number of looks, the glance included. `level` is `easy`, `default` or `hard`; where T
    depends on it there are three.

    ## Action space
    `Box(-1, 1, (2,), float32)`, (row, col) of the patch: (-1, -1) is the top-left patch, (1, 1)
    the bottom-right one, (0, 0) the centre. Values outside are clipped. With `lattice_stride` or a
    feature bank they go to the nearest patch that there is.
    Grid ids: `Discrete(grid_size ** 2)`, a regular grid of the same patches, row-major.
    With `stop` there is an action that ends the episode instead of looking: in
    `Box(-1, 1, (3,), float32)`, (row, col, stop), wherever the last number is above 0; in
    `Discrete(grid_size ** 2 + 1)`, the last index. It may be the first action, too.

    ## Observation space
    `Dict` of float32: `features` (channels, h, w), the feature map of the newest look;
    `hidden_state` (H,), the state of the network's recurrent classifier. `observe` adds `glance`
    (channels, h, w), the feature map of the glance; `locations` (T - 1, 2) in [-1, 1], the actions
    so far, 0 where there is none yet; `step` (1,), looks so far; `probabilities` (classes,) in
    [0, 1], what the network takes each class for.

    ## Rewards
    The gain in the true class's probability less what a look costs, p_t - p_(t-1) - `look_cost`,
    so that the return of k looks after the glance is p_(k+1) - p_1 - k `look_cost`. To stop
    earns 0 and costs nothing; the encoder does not run. `look_cost` is 0 but in the ids that may
    stop, and may be set in every id.
    `reward` picks another gain: `cross_entropy_decrease`, `correctness_gain`, or `contrastive`, the
    probability against its mean after random looks; see `gf_env.envs.rewards`.

    ## Starting state
    The glance at an image drawn uniformly from the split, or at image i with
    `reset(options={"index": i})`.

    ## Episode end
    `terminated` after T - 1 looks, once the agent stops (with `stop`), or once the largest
    probability reaches `exit_thresholds` (not with `stop`: one of the two ends an episode).
    What is seen and known after a stop is what was before it.
    Never `truncated`: the horizon is part of the task.

    ## Info
    `index`, `label`, `prediction`, `confidence` (of the true class), `max_probability`, `correct`,
    `step` (looks so far), `patch` (top, left, height, width in pixels; the whole image at the
    glance), `multiply_adds` (of the network, so far), `gain` and `cost` (of the newest action,
    whose reward is gain less cost; 0 at the glance and of a stop), `stopped` (by the agent),
    `is_success` (whether the episode has ended with the right class). Every info has all of them:
    int64 and float64 scalars of NumPy, and bool arrays of shape ().

    ## Registered ids
    Those of the table, and each with grid actions: `GlanceFocusGrid-v0`,
    `GlanceFocusSearchGrid-v0`, `GlanceFocusSignpostsGrid-v0`, `GlanceFocusSumsGrid-v0`. The grid is
    7 x 7; 3 x 3 and 11 x 11 at the levels `easy` and `hard` of `GlanceFocusSearchGrid-v0`, whose
    scenes are smaller and larger.
    `GlanceFocusStop-v0` and `GlanceFocusStopGrid-v0` are the two of `cluttered-digits` with
    `stop=True` and a price as `look_cost`. The others say which data set, and nothing else of
    `arguments` but the grid.
    The price is `stop_cost` in `gf_env.builtin_tasks`, 0.1, the same at all levels. At that price
    both looking and stopping pay: who never looks has a return of 0, search with a belief that
    never stops one of 0.15, and the same search with learned stopping one of 0.42, with 1.22 looks
    after the glance (suite `stopping` of the benchmark, default level).

    ## Version history
    v0: first version, of all ids.

    Args:
        render_mode: None or `rgb_array`.
        **arguments: see `gf_env.envs.make_task.TaskArguments`: `dataset`, `level`, `split`,
            `num_scenes`, `unreadable`, `network`, `sequence_length`, `reward`, `observe`,
            `look_cost`, `stop`, `exit_thresholds`, `grid_size`, `lattice_stride`, `feature_bank`,
            `precision`, `compiled`, `device`.

    Raises:
        TypeError: an argument that does not exist.
        ValueError: an unknown or unfitting one.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": checks.RENDER_MODES, "render_fps": 2}  # type: ignore[misc]

    def __init__(
        self, *, render_mode: str | None = None, **arguments: Unpack[TaskArguments]
    ) -> None:
        self.render_mode = checks.check_render_mode(render_mode)
        self.task = make_task(**arguments)
        self.action_space = self.task.actions.space
        self.observation_space = self.task.observation_space  # type: ignore[assignment]
        self._episode: Episodes | None = None
        self._index = np.zeros(1, np.int64)
        self._ended = False

    @torch.inference_mode()
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Glance at an image.

        Args:
            seed: of the generator that draws images.
            options: `{"index": i}` picks image i.

        Raises:
            ValueError: unknown option or an index outside the split.
        """
        super().reset(seed=seed)
        options = checks.check_options(options, ("index",))
        if "index" in options:
            index = self.task.check_index(options["index"])
        else:
            index = int(self.np_random.integers(len(self.task.dataset)))
        self._episode = self.task.start(np.array([index]))
        self._index = np.array([index])
        self._ended = False
        return self._observation(self._episode), self._info(self._episode)

    @torch.inference_mode()
    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Look at one patch, or stop.

        Args:
            action: (row, col) in [-1, 1], or a grid index; with `stop`, (row, col, stop), or the
                index after the last patch to stop.

        Raises:
            ResetNeeded: before the first reset or after the end.
            ValueError: NaN, a wrong shape, or an index outside the action space.
        """
        episode = checks.started(self._episode)
        if self._ended:
            raise ResetNeeded("the episode has ended; call reset() before the next step()")
        look = self.task.actions.decode(np.asarray(action)[None], 1)
        self._episode, rewards, terminated = self.task.step(episode, look)
        self._ended = bool(terminated[0])
        info = self._info(self._episode)
        return self._observation(self._episode), float(rewards[0]), self._ended, False, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return the episode so far as an (H, W, 3) uint8 picture; see `checks.render`."""
        pictures = checks.render(self.render_mode, self.task, self._episode)
        return pictures[0] if pictures else None

    def get_keys_to_action(self) -> dict[str, Any]:
        """Return actions by key for `gymnasium.utils.play`, which needs `wait_on_player=True`.

        Nine keys look at nine places, as they lie on the keyboard: q w e, a s d, z x c. Where the
        agent may stop, the space bar stops.
        """
        lines = torch.tensor([0.0, 0.5, 1.0])
        encode = self.task.actions.encode
        keys = dict(zip("qweasdzxc", encode(Look(torch.cartesian_prod(lines, lines))), strict=True))
        if self.task.actions.stop:
            keys[" "] = encode(Look(torch.full((1, 2), 0.5), torch.tensor([True])))[0]
        return keys

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled and copied: of the image, only which it is."""
        state = self.__dict__.copy()
        if self._episode is not None:
            state["_episode"] = self.task.without_images(self._episode)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the image up again."""
        self.__dict__.update(state)
        if self._episode is not None:
            self._episode = self.task.with_images(self._episode, self._index)

    def _observation(self, episode: Episodes) -> Observation:
        return {key: value[0] for key, value in self.task.observation(episode).items()}

    def _info(self, episode: Episodes) -> dict[str, Any]:
        info = self.task.info(episode, self._index, np.array([self._ended]))
        # Gymnasium's vector environments gather NumPy's numbers and arrays by their type, but its
        # booleans as objects, so that these are arrays, of shape ()
        return {
            key: value[0, ...] if value.dtype == np.bool_ else value[0]
            for key, value in info.items()
        }
