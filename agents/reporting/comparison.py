"""Policies side by side on the same images: one row of metrics each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from gf_env.evaluation import Evaluation
from gf_env.storage.files import write_atomically


@dataclass(frozen=True)
class Row:
    """One policy's metrics.

    Attributes:
        name: the policy's.
        accuracy: after each of T looks.
        mean_return: of the episodes.
        gap_closed: share of the way from random to the oracle, by accuracy after the last look;
            None without an oracle, and where it is no better than random.
        mean_looks: taken in an episode, the glance included.
        mean_multiply_adds: spent on an episode, the policy's included where it says so.
    """

    name: str
    accuracy: tuple[float, ...]
    mean_return: float
    gap_closed: float | None
    mean_looks: float
    mean_multiply_adds: float


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
    rows = []
    for name, evaluation in evaluations.items():
        accuracy = tuple(evaluation.accuracy.tolist())
        gap_closed = (accuracy[-1] - low) / (high - low) if high > low else None
        spent = evaluation.mean_looks, evaluation.mean_multiply_adds
        rows.append(Row(name, accuracy, evaluation.mean_return, gap_closed, *spent))
    return rows


def table(rows: list[Row], title: str) -> Table:
    """Return the rows as a terminal table, with what was spent where that is not all looks."""
    made = Table(title=title)
    made.add_column("policy")
    looks = [f"look {number}" for number in range(2, len(rows[0].accuracy) + 1)]
    some_stop = any(row.mean_looks < len(row.accuracy) for row in rows)
    spent = ("mean looks", "multiply-adds") if some_stop else ()
    for name in ("glance", *looks, "mean return", "gap closed", *spent):
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(
            row.name,
            *(f"{value:.3f}" for value in row.accuracy),
            f"{row.mean_return:.3f}",
            "" if row.gap_closed is None else f"{row.gap_closed:.0%}",
            *((f"{row.mean_looks:.2f}", f"{row.mean_multiply_adds / 1e6:,.2f} M") * some_stop),
        )
    return made


def write_results(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result as JSON; rows stand anywhere in it, as objects of their fields."""
    write_atomically(path, (json.dumps(content, indent=2, default=asdict) + "\n").encode())
