"""Who plays on the built-in tasks beside a person.

The paper's policy, the best other policy that comes with the package, and an oracle that sees
labels.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agents.play.arena import Arena, Opponent
from agents.play.courses import play
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.policies import make_policy
from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS
from gf_env.envs.make_task import make_task
from gf_env.envs.task import Task

PAPER, ORACLE = "paper's policy", "oracle (sees labels)"
SPLIT = "test"


class Lineup(NamedTuple):
    """Who plays on a task, as policies are named in `agents.registry.policies`.

    Attributes:
        goal: what a person is told to do.
        paper: the paper's policy, trained on the task; None: the package has none.
        best: the best policy without labels, at each of `LEVELS`: a trained one, or a rule where
            the package has none that was trained on the task.
        plans: whether the oracle has to plan, as a single look gains nothing.
    """

    goal: str
    paper: str | None
    best: tuple[str, str, str]
    plans: bool


BEST = {
    "cluttered-digits-search": "search with a belief",
    "cover": "cover (a rule)",
    "saliency": "saliency (a rule)",
}
"""What the best policies are called."""

LINEUPS: Mapping[str, Lineup] = {
    "cluttered-digits": Lineup(
        "Find the one whole digit. The glance hints at where it is.",
        "cluttered-digits",
        ("cluttered-digits-search",) * 3,
        plans=False,
    ),
    "hidden-digits": Lineup(
        "A digit hides in the grey, and the glance shows nothing of it. Search.",
        None,
        ("saliency", "saliency", "cover"),
        plans=False,
    ),
    "signposts": Lineup(
        "Read the white sign first. Its pattern names the colour of the digit that counts: "
        "horizontal stripes red, vertical green, diagonal blue, a checkerboard yellow.",
        None,
        ("saliency",) * 3,
        plans=True,
    ),
    "digit-sums": Lineup(
        "The class is the last digit of the sum of all digits. Look at each of them.",
        None,
        ("saliency",) * 3,
        plans=True,
    ),
}
"""By the names of the built-in tasks."""


def make_arena(
    dataset: str, level: str, policies: Sequence[str] = (), *, trust_sb3: bool = False
) -> Arena:
    """Return the arena of a built-in task.

    Args:
        dataset: its name.
        level: one of `LEVELS`.
        policies: more that play, as `agents.registry.policies.make_policy` finds them; those that
            do not fit the task are left out, see `Arena`.
        trust_sb3: see `agents.registry.files.load_policy`.

    Raises:
        ValueError: an unknown task, level or policy.
        TensorFileError: a damaged file of a policy, or one that holds something else.
    """
    if dataset not in BUILTIN_TASKS:
        raise ValueError(f"unknown task {dataset!r}; choose one of {list(BUILTIN_TASKS)}")
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; choose one of {list(LEVELS)}")
    task = make_task(dataset=dataset, level=level, split=SPLIT)
    lineup, grid_size = LINEUPS[dataset], BUILTIN_TASKS[dataset].at(level).grid_size
    best = lineup.best[LEVELS.index(level)]
    named = {} if lineup.paper is None else {PAPER: lineup.paper}
    named |= {BEST[best]: best}
    opponents = [
        Opponent(name, make_policy(policy, network=task.network)) for name, policy in named.items()
    ]
    left_out = []
    for name in dict.fromkeys(policies):
        policy = make_policy(name, network=task.network, trust_sb3=trust_sb3)
        try:
            _check_fit(task, policy)
        except ValueError as error:
            left_out.append(f"{name}: {error}")
        else:
            opponents.append(Opponent(Path(name).name, policy))
    settings: dict[str, int] = {"grid_size": grid_size}
    if lineup.plans:
        settings["width"] = grid_size**2  # keeps every first look
    bound = "beam-search-oracle" if lineup.plans else "greedy-oracle"
    oracle = Opponent(ORACLE, make_policy(bound, network=task.network, settings=settings))
    return Arena(task, [*opponents, oracle], lineup.goal, left_out)


def _check_fit(task: Task, policy: Policy | PrivilegedPolicy) -> None:
    """Check that a policy can play a task, by playing a scene.

    Raises:
        ValueError: it cannot.
    """
    sizes = task.network.config.image_size, task.network.config.patch_size
    made_for = getattr(policy, "made_for", None)
    if made_for not in (None, sizes):
        raise ValueError(
            f"made for images and patches of {made_for} pixels, those of the task have {sizes}"
        )
    play(task, policy, 0)


class Arenas:
    """The arenas of the built-in tasks, each made when it is first asked for, and kept.

    Args:
        policies: more that play; see `make_arena`.
        trust_sb3: likewise.
    """

    def __init__(self, policies: Sequence[str] = (), *, trust_sb3: bool = False) -> None:
        self._policies, self._trust_sb3 = tuple(policies), trust_sb3
        self._made: dict[tuple[str, str], Arena] = {}
        self._making = threading.Lock()

    def get(self, dataset: str, level: str) -> Arena:
        """Return the arena of a task at a level; errors are those of `make_arena`."""
        with self._making:
            if (dataset, level) not in self._made:
                self._made[dataset, level] = make_arena(
                    dataset, level, self._policies, trust_sb3=self._trust_sb3
                )
            return self._made[dataset, level]
