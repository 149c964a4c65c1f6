"""`gf-env leaderboard`: the table of all tasks, of rows that are committed."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import NonNegativeInt, PositiveInt
from rich.console import Console

from agents.benchmark.leaderboard.measure import faults, measure
from agents.benchmark.leaderboard.page import make_page
from agents.benchmark.leaderboard.rows import (
    Entry,
    LeaderboardError,
    file_stem,
    kind_of,
    read_entries,
    read_entry,
    write_entry,
)
from agents.registry.choices import LEVEL, one_of
from gf_env.builtin_tasks import BUILTIN_TASKS, DEFAULT_TASK, played_with
from gf_env.configuration import configuration
from gf_env.storage.files import write_atomically


@configuration
class Leaderboard:
    """Add a policy to the table of tasks, check its rows, or make its page anew.

    `add` evaluates policies on the test split of a task, writes their rows to DOCS/leaderboard and
    makes DOCS/LEADERBOARD.md anew. `check` evaluates the policies of rows again and refuses rows
    whose figures they do not reproduce. `page` makes the page of the rows there are.

    Attributes:
        action: what to do.
        policies: of `add`: files, a seed each, or one rule, built-in policy or package.module:Name;
            of `check`: names of entries, all by default.
        name: how the table calls what is added; by default as the policy.
        about: what it is and how it was made; what was said before stays by default.
        task: that it is evaluated on.
        level: of the task.
        seeds: of the files, 0, 1, ... by default; of one rule, each of these.
        images: of the test split, the first so many; the table's rows have 2,000.
        docs: the folder.
        trust_sb3: load models that Stable-Baselines3 saved (.zip), which may run any code.
    """

    action: Annotated[Literal["add", "check", "page"], tyro.conf.Positional]
    policies: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    name: str | None = None
    about: str | None = None
    task: Annotated[str, one_of(BUILTIN_TASKS)] = DEFAULT_TASK
    level: Annotated[str | None, LEVEL] = None
    seeds: tuple[NonNegativeInt, ...] = ()
    images: PositiveInt = 2000
    docs: Path = Path("docs")
    trust_sb3: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be added."""
        if self.task not in BUILTIN_TASKS:
            raise ValueError(f"task must be one of {list(BUILTIN_TASKS)}, got {self.task!r}")
        if self.action == "add":
            self._check_added()

    def _check_added(self) -> None:
        count = len(self.policies)
        if not count:
            raise ValueError("add needs a policy: a file, a rule, or package.module:Name")
        if count > 1 and self.seeds and len(self.seeds) != count:
            raise ValueError(f"{count} policies need as many seeds, got {len(self.seeds)}")
        if count > 1 and self.name is None:
            raise ValueError("several policies are seeds of one entry, which needs a --name")

    def run(self, console: Console) -> None:
        """Do it.

        Raises:
            LeaderboardError: rows that cannot be read, that do not fit each other or, of `check`,
                that are not what their policies do.
        """
        folder = self.docs / "leaderboard"
        if self.action == "check":
            self._check(folder, console)
            return
        if self.action == "add":
            self._add(folder, console)
        page = make_page(read_entries(folder))
        write_atomically(self.docs / "LEADERBOARD.md", page.encode())
        console.print(f"Written to {self.docs / 'LEADERBOARD.md'}.", markup=False)

    def _add(self, folder: Path, console: Console) -> None:
        name = self.name or self.policies[0]
        task = played_with(self.task, self.level).dataset
        path = folder / f"{file_stem(name)}.json"
        entry = read_entry(path) if path.is_file() else Entry(name, kind_of(self.policies[0]))
        if entry.name != name:
            raise LeaderboardError(
                f"{path} is of {entry.name!r}; choose another name than {name!r}"
            )
        if self.about is not None:
            entry = dataclasses.replace(entry, about=self.about)
        for policy, seed in self._with_seeds():
            with console.status(f"evaluating {policy} on {task}"):
                stem = f"{entry.stem}-{task}-{seed}"
                row = measure(
                    folder,
                    policy,
                    task,
                    seed,
                    stem=stem,
                    images=self.images,
                    trust_sb3=self.trust_sb3,
                )
            entry = entry.with_row(row)
            write_entry(folder, entry)
            found = f"accuracy {row.accuracy[-1]:.3f} at the end, return {row.mean_return:.3f}"
            line = f"{name} on {task}, seed {seed}: {found}"
            console.print(line, markup=False, highlight=False)

    def _with_seeds(self) -> Iterator[tuple[str, int]]:
        if len(self.policies) == 1:
            for seed in self.seeds or (0,):
                yield self.policies[0], seed
        else:
            yield from zip(self.policies, self.seeds or range(len(self.policies)), strict=True)

    def _check(self, folder: Path, console: Console) -> None:
        entries = {entry.name: entry for entry in read_entries(folder)}
        unknown = sorted({*self.policies} - {*entries})
        if unknown:
            raise ValueError(f"the table has no {unknown}; it has {sorted(entries)}")
        found: list[str] = []
        count = 0
        for name in self.policies or entries:
            count += len(entries[name].rows)
            with console.status(f"evaluating {name}") as status:
                found += faults(
                    folder, entries[name], trust_sb3=self.trust_sb3, on_progress=status.update
                )
        if found:
            raise LeaderboardError("; ".join(found))
        console.print(f"{count} rows are what their policies do.")
