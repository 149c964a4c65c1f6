"""The tables of docs/RELIABILITY.md, of what `make soak` found.

    python -m tests.soak.page      # writes them anew

Whatever stands between a line `<!-- soak -->` and a line `<!-- end -->` is made here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gf_env.storage.files import write_atomically
from tests.helpers.paths import ROOT

FOUND = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- soak -->\n", "<!-- end -->\n"
_TITLES = {
    "files": ("Damaged and forged files", "loader", "variants", "mishandled"),
    "kills": ("Kills", "job", "kills", "not the same afterwards"),
    "together": ("Two processes in one folder", "job", "times", "not the same afterwards"),
    "disk": ("Full disks", "job", "times", "wrong"),
    "steps": ("Long runs", "id and form", "steps", "not flat"),
}


def tables(found: list[dict[str, Any]]) -> str:
    """Return the tables of what suites found, as Markdown."""
    return "\n".join(line for name in _TITLES for line in _section(name, found))


def _section(name: str, found: list[dict[str, Any]]) -> Iterator[str]:
    runs = [each for each in found if each["suite"] == name]
    if not runs:
        return
    title, what, tried, faults = _TITLES[name]
    yield from (f"### {title}", "")
    for run in runs:
        machine, rows = run["machine"], run["rows"]
        yield (
            f"Seed {run['seed']}, {run['at'][:10]}, {run['seconds'] / 60:.0f} minutes on "
            f"{machine['cores']} cores ({machine['cpu']}, load {machine['load_before']:.1f} at "
            f"the start), torch {run['versions']['torch']}: "
            f"{sum(len(row['faults']) for row in rows)} of {sum(row['tried'] for row in rows):,}."
        )
        yield ""
    figures = list(runs[0]["rows"][0]["figures"])
    yield "| " + " | ".join([what, tried, faults, *(_words(each) for each in figures)]) + " |"
    yield "|---" * (3 + len(figures)) + "|"
    for row in _summed(runs):
        values = (_shown(row["figures"].get(each)) for each in figures)
        counts = f"{row['tried']:,}", str(len(row["faults"]))
        yield "| " + " | ".join([row["what"], *counts, *values]) + " |"
    yield ""


def _summed(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the first run, with what others tried and found added."""
    rows: dict[str, dict[str, Any]] = {}
    for run in runs:
        for row in run["rows"]:
            kept = rows.setdefault(row["what"], {**row, "tried": 0, "faults": []})
            kept["tried"] += row["tried"]
            kept["faults"] = [*kept["faults"], *row["faults"]]
    return list(rows.values())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def made_page(page: str, found: list[dict[str, Any]]) -> str:
    """Return the page with the tables of what was found."""
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n{tables(found)}\n{END}{after}"


def write_page(page: Path = PAGE, found: Path = FOUND) -> None:
    """Write the tables anew."""
    made = made_page(page.read_text(), json.loads(found.read_text()))
    write_atomically(page, made.encode())


if __name__ == "__main__":
    write_page()
