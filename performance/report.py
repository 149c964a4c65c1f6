"""The results of `performance.speed` as Markdown."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro


def markdown(content: dict[str, Any]) -> str:
    """Return a page with a table for each experiment of a `speed.json`."""
    lines = ["# Speed", "", _about(content), ""]
    groups = itertools.groupby(content["comparisons"], lambda each: each["experiment"])
    for name, comparisons in groups:
        lines += [f"## {name}", "", *_speed_table(comparisons), ""]
    if "startup" in content:
        lines += ["## startup", "", *_startup_table(content["startup"]), ""]
    if "memory" in content:
        lines += ["## memory", "", *_memory_table(content["memory"]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _about(content: dict[str, Any]) -> str:
    machine = content["machine"]
    described = ", ".join(f"{key} {value}" for key, value in machine.items() if value is not None)
    packages = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    left_out = "".join(
        f" Not measured: {key}: {why}." for key, why in content["not_measured"].items()
    )
    return f"Made by `python -m performance.speed`. Machine: {described}. {packages}.{left_out}"


def _speed_table(comparisons: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "| | steps/s | slowest | fastest | µs/step | of the first |"
    yield "|---|---:|---:|---:|---:|---:|"
    for comparison in comparisons:
        yield f"| **{comparison['title']}** | | | | | |"
        for row in comparison["rows"]:
            speed = row["steps_per_second"]
            rates = " | ".join(f"{speed[key]:,.0f}" for key in ("median", "slowest", "fastest"))
            micro, ratio = row["microseconds_per_step"], row["ratio"]
            yield f"| {row['contender']} | {rates} | {micro:,.1f} | {ratio:.1%} |"
        for contender, why in comparison["not_measured"].items():
            yield f"| {contender}: not measured, {why} | | | | | |"


def _startup_table(found: dict[str, Any]) -> Iterator[str]:
    yield "| | ms | fastest | slowest |"
    yield "|---|---:|---:|---:|"
    for name, metrics in found["seconds"].items():
        values = (metrics[key] * 1e3 for key in ("median", "fastest", "slowest"))
        yield f"| {name} | " + " | ".join(f"{value:,.1f}" for value in values) + " |"


def _memory_table(found: dict[str, Any]) -> Iterator[str]:
    yield "| | envs | peak MB | running, without pages of files | kB/env | without pages of files |"
    yield "|---|---:|---:|---:|---:|---:|"
    for row in found["rows"]:
        peaks = (row[key] / 1e6 for key in ("peak_bytes", "running_bytes_without_files"))
        each = (row[key] for key in ("bytes_per_env", "bytes_per_env_without_files"))
        cells = [f"{value:,.0f}" for value in peaks]
        cells += ["-" if value is None else f"{value / 1e3:,.1f}" for value in each]
        yield f"| {row['contender']} | {row['num_envs']:,} | " + " | ".join(cells) + " |"


def main(path: Annotated[Path, tyro.conf.Positional] = Path("docs/performance/speed.json")) -> None:
    """Write PATH's results beside it, with the suffix .md."""
    path.with_suffix(".md").write_text(markdown(json.loads(path.read_text())))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
