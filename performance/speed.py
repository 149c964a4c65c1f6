"""How fast everything is, beside what the frozen network alone can do.

Prints tables and writes OUTPUT/speed.json. All ratios are of contenders that took turns within this
run. Takes about ten minutes on two cores, and some more where the built-in task's feature bank has
to be built first.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from agents.reporting.provenance import machine, versions
from gf_env.storage.files import write_atomically
from performance.comparison import compare
from performance.experiments import FULL, QUICK, Scale, experiments
from performance.memory import measure_memory
from performance.settings import Materials, Workload
from performance.startup import measure_startup

Name = Literal[
    "built-in",
    "sync",
    "async",
    "learners",
    "endless",
    "num-envs",
    "image-size",
    "mobilenet",
    "precision",
    "resnet50",
    "startup",
    "memory",
]


@dataclass(frozen=True)
class Arguments:
    """What is measured.

    Attributes:
        only: these experiments; all by default.
        quick: a few environments for an instant, to see that it runs; the results mean nothing.
        compiled: also compiled encoders, which takes minutes.
        device: where networks run; resnet50 is not measured on the CPU.
        output: folder for speed.json.
    """

    only: tuple[Name, ...] = ()
    quick: bool = False
    compiled: bool = False
    device: str = "cpu"
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("docs/performance")

    @property
    def scale(self) -> Scale:
        """How large the run is."""
        return QUICK if self.quick else FULL

    def wants(self, name: str) -> bool:
        """Whether an experiment was asked for."""
        return not self.only or name in self.only


@dataclass
class ResultsFile:
    """The results so far, in a file and on the console.

    Attributes:
        path: of the file.
        content: JSON-serialisable.
        console: where it is printed.
    """

    path: Path
    content: dict[str, Any]
    console: Console

    def add(self, key: str, value: Any, *tables: Table) -> None:
        """Keep a part, print it, and write everything, so that a stop loses little."""
        self.content[key] = value
        write_atomically(self.path, (json.dumps(self.content, indent=1) + "\n").encode())
        for table in tables:
            self.console.print(table)


def run(arguments: Arguments, console: Console) -> Path:
    """Measure, print, and write; return the file."""
    results = ResultsFile(arguments.output / "speed.json", _about(arguments), console)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        _run_comparisons(arguments, results, Path(folder))
        if arguments.wants("startup"):
            _run_startup(arguments.scale, results)
        if arguments.wants("memory"):
            _run_memory(arguments, results, Path(folder))
    results.add("seconds", time.perf_counter() - began)
    console.print(f"Written to {results.path} after {time.perf_counter() - began:.0f} s.")
    return results.path


def _about(arguments: Arguments) -> dict[str, Any]:
    not_measured = {}
    if arguments.device == "cpu" and arguments.wants("resnet50"):
        not_measured["resnet50"] = "needs --device cuda"
    if not arguments.compiled and arguments.wants("precision"):
        not_measured["compiled encoders"] = "need --compiled"
    return {
        "quick": arguments.quick,
        "only": list(arguments.only),
        "machine": machine(arguments.device),
        "versions": versions(),
        "not_measured": not_measured,
        "comparisons": [],
    }


def _run_comparisons(arguments: Arguments, results: ResultsFile, folder: Path) -> None:
    every = experiments(arguments.scale, arguments.device, compiled=arguments.compiled)
    wanted = [each for each in every if arguments.wants(each.name)]
    numbers = itertools.count(1)
    for name, group in itertools.groupby(wanted, lambda each: each.name):
        made = []
        for each in group:
            results.console.print(f"[{next(numbers)}/{len(wanted)}] {name}: {each.setting}")
            made.append(compare(each, arguments.scale.effort, folder))
        results.add("comparisons", results.content["comparisons"] + made, _speed_table(name, made))


def _run_startup(scale: Scale, results: ResultsFile) -> None:
    results.console.print("startup, in fresh processes")
    found = measure_startup(scale.rounds, scale.num_envs, scale.split)
    results.add("startup", found, _startup_table(found))


def _run_memory(arguments: Arguments, results: ResultsFile, folder: Path) -> None:
    results.console.print("memory, in fresh processes")
    scale = arguments.scale
    setting = Workload(1, split=scale.split, device=arguments.device)
    materials = Materials(setting, folder, scale.effort.bank_bytes)
    found = measure_memory(materials, scale.memory_counts, scale.processes)
    results.add("memory", found, _memory_table(found))


def _table(title: str, *columns: str) -> Table:
    """Return an empty table; the first column is text, the others are numbers."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        # where the console is narrow, text is wrapped and numbers are not
        made.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    return made


def _speed_table(name: str, comparisons: Sequence[dict[str, Any]]) -> Table:
    rates = ("steps/s", "slowest", "fastest")
    made = _table(name, "", *rates, "µs/step", "ratio")
    for comparison in comparisons:
        made.add_row(f"[bold]{comparison['title']}")
        for row in comparison["rows"]:
            speed = row["steps_per_second"]
            made.add_row(
                row["contender"],
                *(f"{speed[key]:,.0f}" for key in ("median", "slowest", "fastest")),
                f"{row['microseconds_per_step']:,.1f}",
                f"{row['ratio']:.1%}",
            )
        for contender in comparison["not_measured"]:
            made.add_row(f"{contender} (not measured)")
        made.add_section()
    return made


def _startup_table(found: dict[str, Any]) -> Table:
    title = (
        f"startup; importing gf_env imports PyTorch: {found['imports_torch']}; "
        f"a pickled environment has {found['pickle_bytes'] / 1e6:.1f} MB"
    )
    made = _table(title, "", "ms", "fastest", "slowest")
    for name, metrics in found["seconds"].items():
        values = (metrics[key] for key in ("median", "fastest", "slowest"))
        made.add_row(name, *(f"{value * 1e3:,.1f}" for value in values))
    return made


def _memory_table(found: dict[str, Any]) -> Table:
    columns = ("envs", "peak MB", "running", "own", "kB/env", "own kB/env")
    made = _table("memory; own: running, without pages of files", "", *columns)
    taken = ("peak_bytes", "running_bytes", "running_bytes_without_files")
    for row in found["rows"]:
        per_env = (row["bytes_per_env"], row["bytes_per_env_without_files"])
        made.add_row(
            row["contender"],
            f"{row['num_envs']:,}",
            *(f"{row[key] / 1e6:,.0f}" for key in taken),
            *("-" if value is None else f"{value / 1e3:,.1f}" for value in per_env),
        )
    return made


def main() -> None:
    """Read the command line and run."""
    run(tyro.cli(Arguments, description=__doc__), Console())


if __name__ == "__main__":
    main()
