"""`gf-env benchmark`: policies x seeds x settings, and a report with intervals."""

import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import PositiveInt
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.display.plots import write_plots
from agents.benchmark.display.tables import markdown, terminal_tables
from agents.benchmark.merging import merge
from agents.benchmark.results import FAILED, Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.one_run import task_identity
from agents.benchmark.running.shards import WHOLE, Shard
from agents.benchmark.running.sweep import (
    SweepConfig,
    check_names,
    check_same_task,
    run_all,
    shards_to_do,
)
from agents.benchmark.suite import Entry, Run, Seeds, Suite
from agents.benchmark.suite_files import load_suite, suite_names
from agents.registry.choices import LEVEL, one_of
from agents.reporting.provenance import MANIFEST, write_manifest
from gf_env.configuration import configuration
from gf_env.storage.files import write_atomically


@configuration
class Benchmark:
    """Run a suite of policies x seeds x settings, and report metrics with intervals.

    Each run has one thread and leaves a row in OUTPUT/results.jsonl. What is there is not run
    again, so a benchmark that was stopped is resumed, and suites share what they have in common.
    The report goes to the terminal and, as JSON, Markdown and plots, to OUTPUT/SUITE, with a
    manifest. On many
    machines, each does a shard in a folder of its own, and the folders are merged.

    Attributes:
        suite: a name, or a TOML file; `list` prints the names.
        policies: further policies to compare: package.module:Name, a file of ours, or a model that
            Stable-Baselines3 saved (.zip), for which --trust-sb3 is needed.
        output: folder of results.
        level: of the built-in tasks that the suite is on, easy, default or hard.
        seeds: in place of the suite's.
        only: names of policies to run and report, all by default.
        sweep: how it is run.
        run_missing: False reports what is there.
        shard: i/n, such as 2/5: run the i-th of n parts of the suite, and report nothing.
        merge: folders of results to merge into OUTPUT; then OUTPUT is reported, and nothing run.
        list_commands: print the commands of shards with runs that are in neither OUTPUT nor
            OUTPUT/shards, and run nothing; each writes to a folder of its own in OUTPUT/shards.
        shards: how many shards --list makes of the suite; as many as there are runs by default.
    """

    suite: Annotated[str, tyro.conf.Positional, one_of([*suite_names(), "list"], "FILE.toml")] = (
        "rules"
    )
    policies: tuple[str, ...] = ()
    output: Path = Path("runs/benchmark")
    level: Annotated[str, LEVEL] = "default"
    seeds: Seeds | None = None
    only: tuple[str, ...] = ()
    sweep: Annotated[SweepConfig, tyro.conf.arg(name="")] = SweepConfig()
    run_missing: Annotated[bool, tyro.conf.arg(name="run")] = True
    shard: Annotated[str | None, tyro.conf.arg(metavar="I/N")] = None
    merge: tuple[Path, ...] = ()
    list_commands: Annotated[bool, tyro.conf.arg(name="list")] = False
    shards: PositiveInt | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done together."""
        asked = {
            "--no-run": not self.run_missing,
            "--shard": self.shard is not None,
            "--merge": bool(self.merge),
            "--list": self.list_commands,
        }
        chosen = [name for name, is_asked in asked.items() if is_asked]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} cannot be given together")
        if self.shards is not None and not self.list_commands:
            raise ValueError("--shards belongs to --list; one of them is run by --shard i/n")

    def run(self, console: Console) -> None:
        """Run what is missing, and report.

        Raises:
            ResultsError: some runs failed; after the report.
        """
        if self.suite == "list":
            for name in suite_names():
                console.print(f"{name}: {load_suite(name).description}", highlight=False)
            return
        suite, folder = self._suite(), ResultsFolder(self.output)
        if self.list_commands:
            for command in self._commands(suite, folder):
                console.out(command, highlight=False)  # whole lines, however narrow it is
            return
        shard = WHOLE if self.shard is None else Shard.parse(self.shard)
        if self.merge:
            count = merge(suite, [ResultsFolder(path) for path in self.merge], folder)
            console.print(f"Merged {count} runs into {folder.path}.", markup=False)
        elif self.run_missing:
            self._run_missing(suite, shard, folder, console)
        else:
            check_same_task(suite.settings, folder.read())
        if self.shard is None:
            self._report(suite, folder, console)
        _check_none_failed(list(shard.runs(suite)), folder)

    def _commands(self, suite: Suite, folder: ResultsFolder) -> Iterator[str]:
        """Yield the commands of shards that are to be done."""
        check_names(suite.runs())
        for shard in shards_to_do(suite, folder, self.shards, retry=self.sweep.retry):
            part = dataclasses.replace(
                self,
                list_commands=False,
                shards=None,
                shard=str(shard),
                output=folder.path / shard.folder,
            )
            yield shlex.join(["gf-env", "benchmark", self.suite, *_options(part)])

    def _suite(self) -> Suite:
        suite = load_suite(self.suite).at_level(self.level)
        entries = (*suite.entries, *(Entry(name=name, policy=name) for name in self.policies))
        names = [entry.name for entry in entries]
        unknown = sorted(set(self.only) - set(names))
        if unknown:
            raise ValueError(f"suite {self.suite!r} has no {unknown}; it has {names}")
        if self.only:
            entries = tuple(entry for entry in entries if entry.name in self.only)
        # a rule that is the same with every seed keeps its one
        return dataclasses.replace(suite, entries=entries, seeds=self.seeds or suite.seeds)

    def _run_missing(
        self, suite: Suite, shard: Shard, folder: ResultsFolder, console: Console
    ) -> None:
        # the names are the user's, and not markup
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(20), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            done = folder.latest()
            every = list(shard.runs(suite))
            bars = _ProgressBars(progress, len(every), sum(run.key in done for run in every))
            run_all(suite, folder, self.sweep, bars, shard)

    def _report(self, suite: Suite, folder: ResultsFolder, console: Console) -> None:
        report = make_report(suite, folder)
        for each in terminal_tables(report):
            console.print(each)
        for line in report.missing:
            console.print(line, markup=False, highlight=False)
        place = folder.path / suite.name
        content = json.dumps(dataclasses.asdict(report), indent=1) + "\n"
        write_atomically(place / "report.json", content.encode())
        write_atomically(place / "report.md", markdown(report).encode())
        write_plots(report, suite, folder, place)
        self._write_manifest(suite, place)
        console.print(f"Written to {place}.")

    def _write_manifest(self, suite: Suite, place: Path) -> None:
        found = [task_identity(setting) for setting in suite.settings]
        write_manifest(
            place / MANIFEST,
            self,
            seeds=sorted({run.seed for run in suite.runs()}),
            networks={each["network"]: each["network digest"] for each in found},
            data={f"{each['dataset']}, {each['split']}": each["images digest"] for each in found},
            files=[place / "report.json", place / "report.md", *place.glob("*.png")],
        )


def _options(config: Any) -> Iterator[str]:
    """Yield the options that make a configuration: those of its fields that are not as by default.

    Its flags are off by default, and its suite is no option.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _options(value)
        elif value != field.default and field.name != "suite":
            yield f"--{field.name.replace('_', '-')}"
            if value is not True:
                yield from map(str, value if isinstance(value, tuple) else [value])


def _check_none_failed(runs: list[Run], folder: ResultsFolder) -> None:
    results = folder.latest()
    done = [run for run in runs if run.key in results]
    failed = [run.name for run in done if results[run.key].status == FAILED]
    if failed:
        raise ResultsError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed[:3])}"
            f"{', ...' if len(failed) > 3 else ''}. Their reasons stand in the report; to run them "
            "again, add --retry"
        )


class _ProgressBars:
    """A bar for the suite and a line for each run that has a process."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress = progress
        self._all = progress.add_task("runs", total=total, completed=done)
        self._lines: dict[str, TaskID] = {}

    def __call__(self, run: Run, event: str | Result) -> None:
        if run.key not in self._lines:
            self._lines[run.key] = self._progress.add_task(run.name, total=None)
        if isinstance(event, str):
            self._progress.update(self._lines[run.key], description=f"{run.name}: {event}")
        else:
            self._progress.remove_task(self._lines.pop(run.key))
            self._progress.advance(self._all)
            self._progress.console.print(_line(run, event), markup=False, highlight=False)


def _line(run: Run, result: Result) -> str:
    if result.status == FAILED or result.deterministic is None:
        return f"{run.name} failed: {result.reason}"
    accuracy = result.deterministic.accuracy[-1]
    return f"{run.name}: accuracy {accuracy:.3f} after the last look, in {result.seconds:.0f} s"
