"""`gf-env repeat`: runs a row of a benchmark again, and says to which digit it agrees."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import PositiveInt
from rich.console import Console

from agents.benchmark.agreement import Disagreement, disagreements
from agents.benchmark.repetition import (
    ends_by_the_clock,
    find_row,
    made_differently,
    open_results,
    remake_run,
    run_again,
    run_name,
)
from agents.benchmark.results import Result, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.reporting.provenance import MANIFEST, write_manifest
from gf_env.configuration import configuration
from gf_env.storage.files import write_atomically

_SHOWN = 10


@configuration
class Repeat:
    """Run a row of a benchmark again, and say to which digit it agrees.

    The row says all that its run depends on: policy or learner, settings, task, seed. On the same
    machine with the same versions all digits should agree; elsewhere rounding differs. The exit
    status is 1 where fewer digits agree than are asked for.

    Attributes:
        results: a folder that gf-env benchmark wrote, or a file of rows.
        row: its name ("random, seed 0"), key, or number from 1; without one, all are listed.
        digits: significant digits that every figure has to agree in; all of them by default.
        output: folder for the new row, its files, and repeat.json with what differs; nothing is
            kept by default.
        trust_sb3: load a model that Stable-Baselines3 saved (.zip), which may run any code.
    """

    results: Annotated[Path, tyro.conf.Positional] = Path("runs/benchmark")
    row: Annotated[str | None, tyro.conf.Positional] = None
    digits: PositiveInt | None = None
    output: Path | None = None
    trust_sb3: bool = False

    def run(self, console: Console) -> None:
        """Run the row again, compare, and print what differs.

        Raises:
            ResultsError: it does not agree, or cannot be repeated.
        """
        folder = open_results(self.results)
        rows = [*folder.latest().values()]
        if self.row is None:
            for number, row in enumerate(rows, 1):
                line = f"{number}  {row.key}  {run_name(row)}, on {row.setting}: {row.status}"
                console.print(line, markup=False, highlight=False)
            return
        before = find_row(rows, self.row)
        arrays = folder.arrays(before) if folder.arrays_path(before.key).exists() else {}
        run = remake_run(before)
        into = None if self.output is None else ResultsFolder(self.output)

        def show(_: object, event: str | Result) -> None:
            if isinstance(event, str):
                console.print(f"{run.name}: {event}", markup=False, highlight=False)

        now, new_arrays = run_again(run, into, show, trust_sb3=self.trust_sb3)
        differing = disagreements((before, arrays), (now, new_arrays))
        for line in self._lines(before, now, differing, compares_arrays=bool(arrays)):
            console.print(line, markup=False, highlight=False)
        if into is not None:
            self._write(into, before, now, differing)
        _check(run_name(before), differing, self.digits)

    def _lines(
        self, before: Result, now: Result, differing: list[Disagreement], *, compares_arrays: bool
    ) -> list[str]:
        """Return what is to be said."""
        what = (
            "figures and arrays of each image" if compares_arrays else "figures; it has no arrays"
        )
        lines = [
            f"{each.name}: {each.before} and now {each.now}, the same in {each.digits} digits"
            for each in differing[:_SHOWN]
        ]
        if len(differing) > _SHOWN:
            lines.append(f"and {len(differing) - _SHOWN} more")
        made = "; ".join(made_differently(before, now))
        if made:
            lines.append(f"Made differently: {made}.")
        if differing and ends_by_the_clock(before):
            lines.append("Its training ends by the clock, so it may take more or fewer steps.")
        found = f"agrees in {differing[0].digits} digits" if differing else "agrees in all digits"
        return [*lines, f"{run_name(before)}: {found} ({what})."]

    def _write(
        self, folder: ResultsFolder, before: Result, now: Result, differing: list[Disagreement]
    ) -> None:
        path = folder.path / "repeat.json"
        found = {
            "key": before.key,
            "run": run_name(before),
            "digits": differing[0].digits if differing else None,
            "differing": [dataclasses.asdict(each) for each in differing],
            "made": {"before": before.made, "now": now.made},
        }
        write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())
        write_manifest(
            folder.path / MANIFEST,
            self,
            seeds=[before.seed],
            networks={before.task["network"]: before.task["network digest"]},
            data={
                f"{before.task['dataset']}, {before.task['split']}": before.task["images digest"]
            },
            files=[path, folder.file],
        )


def _check(name: str, differing: list[Disagreement], digits: int | None) -> None:
    """Check that what differs agrees in as many digits as are asked for.

    Raises:
        ResultsError: it does not.
    """
    if not differing or (digits is not None and differing[0].digits >= digits):
        return
    worst = differing[0]
    asked = "all digits were" if digits is None else f"{digits} digits were"
    raise ResultsError(
        f"{name} does not agree: {asked} asked for, and {worst.name} is the same in "
        f"{worst.digits}; {len(differing)} figures differ"
    )
