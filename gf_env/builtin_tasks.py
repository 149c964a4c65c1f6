"""The built-in tasks: what each is played with, at which levels. All that lists tasks reads this.

A new task is one file of scenes, named as the data set is, beside
`gf_env/datasets/scenes/signposts.py`, a network among the assets, and one row here. The table needs
nothing but Python, so that the ids can be registered without loading torch.
"""

from typing import NamedTuple

LEVELS = ("easy", "default", "hard")


class PlayedWith(NamedTuple):
    """What a data set is played with where nothing else is asked for.

    Attributes:
        dataset: its name or path.
        network: a built-in network's name.
        sequence_length: T, glance included; None: the network's own.
        grid_size: n for the n x n patches of the grid id.
    """

    dataset: str
    network: str
    sequence_length: int | None
    grid_size: int


class BuiltinTask(NamedTuple):
    """A row of the table; what has three values has one for each of `LEVELS`.

    Attributes:
        name: of the data set at its default level, of its file of scenes (with underscores).
        id_stem: what its ids start with.
        networks: names of the built-in networks; one serves scenes of any size.
        sequence_lengths: T, glance included.
        grid_sizes: n of n x n patches.
        stop_cost: what a look costs under the ids in which an agent may stop, at any level; None:
            there are no such ids.
    """

    name: str
    id_stem: str
    networks: tuple[str, str, str]
    sequence_lengths: tuple[int, int, int]
    grid_sizes: tuple[int, int, int] = (7, 7, 7)
    stop_cost: float | None = None

    def at(self, level: str) -> PlayedWith:
        """Return what the task is played with at one of `LEVELS`."""
        number = LEVELS.index(level)
        return PlayedWith(
            self.name if level == "default" else f"{self.name}-{level}",
            self.networks[number],
            self.sequence_lengths[number],
            self.grid_sizes[number],
        )


BUILTIN_TASKS = {
    task.name: task
    for task in (
        BuiltinTask(
            "cluttered-digits", "GlanceFocus", ("cluttered-digits",) * 3, (5, 5, 5), stop_cost=0.05
        ),
        BuiltinTask(
            "hidden-digits",
            "GlanceFocusSearch",
            ("hidden-digits",) * 3,
            (7, 9, 13),
            grid_sizes=(3, 7, 11),  # scenes of 48, 96 and 144 pixels: a patch every 12
        ),
        # with a third look a digit might come first, and there would be nothing to plan
        BuiltinTask("signposts", "GlanceFocusSignposts", ("signposts",) * 3, (3, 3, 3)),
        BuiltinTask("digit-sums", "GlanceFocusSums", ("digit-sums",) * 3, (3, 3, 5)),
    )
}
DEFAULT_TASK = next(iter(BUILTIN_TASKS))
"""Its data set and its network are those of `make_task()` without arguments."""

_BY_DATASET = {
    task.at(level).dataset: task.at(level) for task in BUILTIN_TASKS.values() for level in LEVELS
}


def played_with(dataset: str, level: str | None = None) -> PlayedWith:
    """Return what a data set is played with.

    Args:
        dataset: the name of a built-in task, with its level (`signposts-easy`) or without; what is
            none has the default task's network, and nothing else of it.
        level: one of `LEVELS`, of a built-in task without one in its name; None and `default` are
            the data set itself.

    Raises:
        ValueError: an unknown level, or one of a data set that has none.
    """
    if level is not None and level not in LEVELS:
        raise ValueError(f"unknown level {level!r} of {dataset}; choose one of {list(LEVELS)}")
    if level in (None, "default"):
        others = PlayedWith(dataset, DEFAULT_TASK, sequence_length=None, grid_size=7)
        return _BY_DATASET.get(dataset, others)
    if dataset not in BUILTIN_TASKS:
        raise ValueError(
            f"data set {dataset!r} has no level {level!r}; those with levels are the built-in "
            f"tasks {list(BUILTIN_TASKS)}"
        )
    return BUILTIN_TASKS[dataset].at(level)
