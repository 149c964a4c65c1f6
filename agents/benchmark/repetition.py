"""Runs a row of a benchmark again, on its own, as the benchmark ran it.

A row says all that its run depends on, so the run is made from the row and needs no suite.
"""

import dataclasses
import json
import math
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.benchmark.results import DONE, Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.executors import OnEvent, Work, make_executor
from agents.benchmark.running.one_run import task_identity
from agents.benchmark.suite import Entry, Run, Setting
from agents.registry.files import check_trusted
from agents.registry.learners import get_learner

BY_THE_CLOCK = "max_seconds"
"""A setting of learners that stop after so much time."""


def open_results(path: Path) -> ResultsFolder:
    """Return the results in a folder, or those of a file of rows.

    Raises:
        ValueError: neither is there.
    """
    folder = ResultsFolder(path if path.is_dir() else path.parent)
    if not path.is_dir():
        folder.file = path
    if not folder.file.is_file():
        raise ValueError(f"expected a folder of results or a file of rows, found none at {path}")
    return folder


def run_name(row: Result) -> str:
    """Return what a row is called, as in a benchmark's progress."""
    return f"{row.policy}, seed {row.seed}"


def find_row(rows: list[Result], asked: str) -> Result:
    """Return the row of a name, a key or a number, counted from 1.

    Raises:
        ResultsError: there is none, or there are several.
    """
    if asked.isdecimal() and 1 <= int(asked) <= len(rows):
        return rows[int(asked) - 1]
    found = [row for row in rows if asked in (row.key, run_name(row))]
    if len(found) != 1:
        keys = ", ".join(row.key for row in found) or "those that `gf-env repeat` lists"
        raise ResultsError(
            f"{len(found)} of {len(rows)} rows are called {asked!r}; choose one of {keys}"
        )
    return found[0]


def remake_run(row: Result) -> Run:
    """Return the run that a row is of.

    Settings that are newer than the row have their defaults.

    Raises:
        ResultsError: the row is of a run that failed, of another version of images, network or
            policy file, or this version cannot do its run.
    """
    if row.status != DONE:
        raise ResultsError(
            f"{run_name(row)} failed: {row.reason}; only what is done can be repeated"
        )
    try:
        spec, setting = row.spec, Setting(name=row.setting, **row.spec["setting"])
        entry = Entry(
            name=row.policy,
            policy=spec["policy"],
            learner=spec["learner"],
            settings=_given_settings(row),
            task=spec["task"],
            feature_bank=spec["feature_bank"],
        )
        run = Run(entry, setting, row.seed)
        today = {**task_identity(setting), "policy file": run.spec["file"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"this version cannot do the run of {run_name(row)}: {error}") from error
    changed = [
        f"its {name} was {before} and is now {today[name]}"
        for name, before in {**row.task, "policy file": spec.get("file")}.items()
        if today.get(name) != before
    ]
    if changed:
        raise ResultsError(f"{run_name(row)} is of another version: {', '.join(changed)}")
    return run


def _given_settings(row: Result) -> dict[str, Any]:
    """Return those settings of a row that are not as by default."""
    learner, settings = row.spec["learner"], dict(row.spec["settings"])
    if learner is None:
        return settings
    usual = get_learner(learner).config(seed=row.seed)
    if not isinstance(usual, dict):
        usual = dataclasses.asdict(usual)
    # JSON has no infinity, and 1 is another text than 1.0
    texts = {
        name: json.dumps(None if value == math.inf else value) for name, value in usual.items()
    }
    return {name: value for name, value in settings.items() if json.dumps(value) != texts.get(name)}


def ends_by_the_clock(row: Result) -> bool:
    """Whether a row's training had a limit of time, so that another may take other steps."""
    return row.spec["settings"].get(BY_THE_CLOCK) is not None


def made_differently(row: Result, other: Result) -> Iterator[str]:
    """Yield in what versions and machines of two rows differ."""
    for name in {**row.made, **other.made}:
        before, now = row.made.get(name), other.made.get(name)
        if before != now and name not in ("at", "load_before"):
            yield f"{name} {before} and now {now}"


def run_again(
    run: Run, folder: ResultsFolder | None, on_event: OnEvent, *, trust_sb3: bool = False
) -> tuple[Result, dict[str, Any]]:
    """Do a run in a process of its own with one thread; return its row and arrays.

    Args:
        run: what is done.
        folder: gets the row and its files; None for one that is removed.
        on_event: see `agents.benchmark.running.executors.OnEvent`.
        trust_sb3: see `agents.registry.files.load_policy`.

    Raises:
        ResultsError: it failed.
        ValueError: a model of Stable-Baselines3 that is not trusted.
    """
    check_trusted(run.entry.policy or "", trust_sb3=trust_sb3)
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return run_again(run, ResultsFolder(Path(made)), on_event, trust_sb3=trust_sb3)
    work = Work(folder, jobs=1, timeout=None, on_event=on_event, trust_sb3=trust_sb3)
    make_executor("local", work).do(deque([run]))
    row = folder.latest()[run.key]
    if row.status != DONE:
        raise ResultsError(f"{run.name} failed: {row.reason}")
    return row, folder.arrays(row)
