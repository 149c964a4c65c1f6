"""Parts of a suite, for machines that share nothing but the suite, such as jobs of Slurm."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.benchmark.suite import Run, Suite


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` parts of a suite's runs.

    It follows from the suite alone, never from what has been done. Runs of one policy go to shards
    in turn, so that its seeds are spread and shards take about equally long. Equal runs, such as
    those of one policy under two names, are in the same shard.

    Attributes:
        number: from 1 to `count`.
        count: how many parts there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        """Refuse a part that there is not."""
        if not 1 <= self.number <= self.count:
            raise ValueError(
                f"the shard must be 1/{self.count} to {self.count}/{self.count}, got {self}"
            )

    def __str__(self) -> str:
        """As on the command line."""
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard of a text such as 2/5.

        Raises:
            ValueError: it is none.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([1-9][0-9]{0,8})", text)
        if found is None:
            raise ValueError(f"a shard is given as i/n, such as 1/5, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    @property
    def folder(self) -> Path:
        """Where its results go in the folder of all, so that no two jobs write to one file."""
        return SHARDS / f"{self.number}-of-{self.count}"

    def runs(self, suite: Suite) -> Iterator[Run]:
        """Return its runs in the suite's order."""
        mine = {*self.part(run_keys(suite))}
        return (run for run in suite.runs() if run.key in mine)

    def part(self, keys: Sequence[str]) -> Sequence[str]:
        """Return those of `run_keys` that are in this shard."""
        return keys[self.number - 1 :: self.count]


WHOLE = Shard(1, 1)
"""All runs of a suite."""

SHARDS = Path("shards")
"""In a folder of results: the folders of shards."""


def run_keys(suite: Suite) -> list[str]:
    """Return the keys of a suite's runs, each once: policy by policy, the seeds in a row."""
    entries = {entry.name: turn for turn, entry in enumerate(suite.entries)}
    settings = {setting.name: turn for turn, setting in enumerate(suite.settings)}
    runs = sorted(
        suite.runs(), key=lambda run: (entries[run.entry.name], settings[run.setting.name])
    )
    return list(dict.fromkeys(run.key for run in runs))
