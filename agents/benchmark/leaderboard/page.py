"""The page of the table: `docs/LEADERBOARD.md`, made of rows."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.benchmark.analysis.statistics import (
    Interval,
    interquartile_mean,
    probability_of_improvement,
    stratified_bootstrap,
)
from agents.benchmark.display.cells import Cell, percent, share
from agents.benchmark.leaderboard.rows import Entry, LeaderboardError, Row
from gf_env.builtin_tasks import BUILTIN_TASKS

RANDOM, ORACLE = "random", "beam-search oracle"
"""Entries whose accuracy after the last look is a score of 0% and of 100%, task by task."""
REFERENCE = "the paper's policy"
"""The entry that others are compared with."""

_INTRODUCTION = """\
# Leaderboard

Policies on the built-in tasks, best first. `gf-env leaderboard page` wrote this page of the rows in
[`leaderboard/`](leaderboard), a file a policy; each row is one policy on {images:,} scenes of a
task's test split, with its likeliest actions. *score*: share of the way from random patches (0%) to
the beam-search oracle (100%) of the same task, by accuracy after the last look. *all*:
interquartile mean of scores over the four tasks at their default level and over seeds, for those
that have rows on all of them. *P(better)*: probability that a seed ends above one of {reference},
on one task or on one of the four drawn at random. In brackets are 95% bootstrap intervals over
seeds, stratified by task; fewer than three seeds have none, and five are asked for. Bounds see
labels and compete with nobody.
"""

_HOW_TO_ADD = """\
## Add your policy

```sh
gf-env leaderboard add mine-0.safetensors mine-1.safetensors mine-2.safetensors \\
    --name "my learner" --task signposts --about "PPO on ..., trained by ... (link)."
gf-env leaderboard check "my learner"
```

The first evaluates each file, a seed each, on the test split, writes
`docs/leaderboard/my-learner.json`, copies the files, 2 MiB each at most, to
`docs/leaderboard/policies` and makes this page anew. The second
evaluates the files again, and refuses rows that they do not reproduce to within .002, naming both
figures. Then open a pull request with what changed below `docs/`.

Policies must have been trained without the test split. Our files hold data only; a model that
Stable-Baselines3 saved (`.zip`) may run code, so it is checked with `--trust-sb3` by those who
trust its maker. A rule of your own, `package.module:Name`, needs its module in the pull request.
"""


def make_page(entries: Sequence[Entry]) -> str:
    """Return the page's text.

    Raises:
        LeaderboardError: rows on one task are of different images or networks.
    """
    rows = [row for entry in entries for row in entry.rows]
    for task in dict.fromkeys(row.task for row in rows):
        _check_alike(entries, task)
    levels = sorted({row.task for row in rows} - {*BUILTIN_TASKS})
    images = max((row.images for row in rows), default=0)
    parts = [_INTRODUCTION.format(images=images, reference=REFERENCE), *_overall(entries)]
    for task in (*BUILTIN_TASKS, *levels):
        parts += _section(entries, task)
    return "\n".join([*parts, _HOW_TO_ADD])


def _check_alike(entries: Sequence[Entry], task: str) -> None:
    first: tuple[str, Row] | None = None
    for entry in entries:
        for row in entry.rows:
            if row.task != task:
                continue
            if first is None:
                first = entry.name, row
            before = first[1]
            if (row.images, row.identity) != (before.images, before.identity):
                raise LeaderboardError(
                    f"rows of {first[0]!r} and {entry.name!r} on {task} are of different images or "
                    "networks and cannot stand in one table; evaluate one of them again"
                )


def scores(entries: Sequence[Entry], entry: Entry, task: str) -> NDArray[np.float64]:
    """Return (seeds,) float64, scores of an entry on a task.

    None where it has no rows there, or where one of the ends has none or both are the same.
    """
    by_name = {each.name: each for each in entries}
    low, high = (_last(by_name.get(end), task) for end in (RANDOM, ORACLE))
    if not len(low) or not len(high) or high.mean() <= low.mean():
        return np.empty(0)
    made: NDArray[np.float64] = (_last(entry, task) - low.mean()) / (high.mean() - low.mean())
    return made


def _last(entry: Entry | None, task: str) -> NDArray[np.float64]:
    """Return (seeds,) float64, accuracy after the last look."""
    rows = () if entry is None else entry.rows
    return np.array([row.accuracy[-1] for row in rows if row.task == task])


def _overall(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the table over all tasks."""
    tasks = list(BUILTIN_TASKS)
    found = {entry.name: [scores(entries, entry, task) for task in tasks] for entry in entries}
    yield "## All tasks\n"
    yield f"| policy | kind | seeds | {' | '.join(tasks)} | all | P(better) |"
    yield f"| --- | --- | ---: | {' | '.join('---:' for _ in tasks)} | ---: | ---: |"

    def rank(entry: Entry) -> tuple[bool, bool, float]:
        each = found[entry.name]
        everywhere = all(map(len, each))
        pooled = np.concatenate(each)
        total = interquartile_mean(pooled) if everywhere else pooled.mean()
        return entry.kind != "bound", not everywhere, -float(total)

    shown = [entry for entry in entries if any(map(len, found[entry.name]))]
    for entry in sorted(shown, key=rank):
        each = found[entry.name]
        everywhere = all(map(len, each))
        cells = [percent(_over(values)).text for values in each]
        total = percent(stratified_bootstrap(each)).text if everywhere else ""
        better = _better(each, found.get(REFERENCE)) if entry.name != REFERENCE else Cell()
        seeds = min((len(values) for values in each if len(values)), default=0)
        yield (
            f"| {_text(entry.name)} | {entry.kind} | {seeds} | {' | '.join(cells)} | {total} | "
            f"{better.text} |"
        )
    yield ""
    for entry in sorted(entries, key=lambda each: (each.kind, each.name)):
        if entry.about:
            yield f"- **{_text(entry.name)}**: {_text(entry.about)}"
    yield ""


def _section(entries: Sequence[Entry], task: str) -> Iterator[str]:
    """Yield the table of a task."""
    there = [entry for entry in entries if len(_last(entry, task))]
    if not there:
        return
    looks = max(len(row.accuracy) for entry in there for row in entry.rows if row.task == task)
    yield f"## {task}\n"
    yield (
        f"| policy | kind | seeds | accuracy after the glance and looks 2 to {looks} | return | "
        "score | P(better) |"
    )
    yield "| --- | --- | ---: | --- | ---: | ---: | ---: |"
    by_name = {entry.name: entry for entry in there}
    paper = _last(by_name.get(REFERENCE), task)
    there.sort(key=lambda entry: (entry.kind != "bound", -float(_last(entry, task).mean())))
    for entry in there:
        rows = [row for row in entry.rows if row.task == task]
        steps = zip(*(row.accuracy for row in rows), strict=True)
        accuracy = " ".join(share(_over(values)).estimate for values in steps)
        better = Cell()
        if len(paper) and entry.name != REFERENCE:
            better = _better([_last(entry, task)], [paper])
        yield (
            f"| {_text(entry.name)} | {entry.kind} | {len(rows)} | {accuracy} | "
            f"{share(_over([row.mean_return for row in rows])).text} | "
            f"{percent(_over(scores(entries, entry, task))).text} | {better.text} |"
        )
    yield ""


def _over(values: Sequence[float] | NDArray[np.float64]) -> Interval | None:
    """Return the IQM over seeds; None without."""
    return stratified_bootstrap([values]) if len(values) else None


def _better(
    ours: Sequence[NDArray[np.float64]], theirs: Sequence[NDArray[np.float64]] | None
) -> Cell:
    if theirs is None or not all(map(len, [*ours, *theirs])):
        return Cell()
    return share(probability_of_improvement(ours, theirs), digits=2)


def _text(words: str) -> str:
    """Keep what a table would take for its own."""
    return " ".join(words.replace("|", r"\|").split())
