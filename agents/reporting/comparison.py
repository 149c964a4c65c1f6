"""Policies side by side on the same images: one row of figures each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from gf_env.evaluation import Evaluation
from gf_env.storage.tensors import write_atomically


@dataclass(frozen=True)
class Row:
    """One policy's figures.

    Attributes:
        name: the policy's.
        accuracy: after each of T looks.
        mean_return: of the episodes.
        gap_closed: share of the way from random to the oracle, by accuracy after the last look;
            None without an oracle, and where it is no better than random.
    """

    name: str
    accuracy: tuple[float, ...]
    mean_return: float
    gap_closed: float | None


def compare(evaluations: Mapping[str, Evaluation], *, random: str, oracle: str | None) -> list[Row]:
    """Put evaluations of the same images side by side.

    Args:
        evaluations: by the policies' names.
        random: which of them is at the lower end of the gap.
        oracle: which is at the upper end; None for no gap.

    Raises:
        ValueError: they are of different images.
    """
    first = next(iter(evaluations.values())).indices
    for name, evaluation in evaluations.items():
        if evaluation.indices.tolist() != first.tolist():
            raise ValueError(f"policy {name!r} was evaluated on other images than the first")
    low = float(evaluations[random].accuracy[-1])
    high = low if oracle is None else float(evaluations[oracle].accuracy[-1])
    return [
        Row(
            name=name,
            accuracy=tuple(float(value) for value in evaluation.accuracy),
            mean_return=evaluation.mean_return,
            gap_closed=(float(evaluation.accuracy[-1]) - low) / (high - low)
            if high > low
            else None,
        )
        for name, evaluation in evaluations.items()
    ]


def table(rows: list[Row], title: str) -> Table:
    """Return the rows as a terminal table."""
    made = Table(title=title)
    made.add_column("policy")
    for step in range(len(rows[0].accuracy)):
        made.add_column("glance" if step == 0 else f"look {step + 1}", justify="right")
    made.add_column("mean return", justify="right")
    made.add_column("gap closed", justify="right")
    for row in rows:
        made.add_row(
            row.name,
            *(f"{value:.3f}" for value in row.accuracy),
            f"{row.mean_return:.3f}",
            "" if row.gap_closed is None else f"{row.gap_closed:.0%}",
        )
    return made


def write_results(path: Path, rows: list[Row], about: Mapping[str, Any]) -> None:
    """Write the rows, with what else there is to say about them, as JSON.

    Args:
        path: the file.
        rows: see `compare`.
        about: settings, versions, times.
    """
    content = {**about, "policies": [asdict(row) for row in rows]}
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
