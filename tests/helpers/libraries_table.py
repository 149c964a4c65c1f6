"""The table of docs/LIBRARIES.md: what works with which version of other libraries."""

import dataclasses
import json
from importlib.metadata import version

from tests.helpers.paths import ROOT

JSON = ROOT / "docs" / "libraries.json"
PAGE = ROOT / "docs" / "LIBRARIES.md"
BEGIN, END = "<!-- written by make test-libraries -->", "<!-- end -->"


@dataclasses.dataclass
class Row:
    """A line of the table.

    Attributes:
        library: its name.
        version: that was tested.
        gymnasium: its version beside it.
        feature: what was tested.
        works: all tests of it passed.
        result: what they found.
    """

    library: str
    version: str
    gymnasium: str
    feature: str
    works: bool
    result: str

    @classmethod
    def made(cls, library, package, feature, works, result):
        """Return the row of a test that was run with what is installed."""
        return cls(library, version(package), version("gymnasium"), feature, works, result)


def update(path, rows):
    """Write rows over those of the same libraries, and the table into the page.

    Several rows of a feature become one, which works where all do.
    """
    tested = {row.library for row in rows}
    merged = {}
    for row in [*(row for row in read(path) if row.library not in tested), *rows]:
        before = merged.get((row.library, row.feature))
        if before is not None:
            results = ", ".join(filter(None, (before.result, row.result)))
            row = dataclasses.replace(row, works=before.works and row.works, result=results)
        merged[row.library, row.feature] = row
    found = sorted(merged.values(), key=lambda row: row.library.lower())
    path.write_text(json.dumps([dataclasses.asdict(row) for row in found], indent=1) + "\n")
    begin, end = PAGE.read_text().split(BEGIN)[0], PAGE.read_text().split(END)[1]
    PAGE.write_text(f"{begin}{BEGIN}\n\n{markdown(found)}\n{END}{end}")


def read(path):
    """Return the rows of a file; none where there is none."""
    return [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []


def markdown(rows):
    """Return the table."""
    lines = ["| library | Gymnasium | what | works | result |", "|---|---|---|---|---|"]
    for row in rows:
        works = "yes" if row.works else "**no**"
        lines.append(
            f"| {row.library} {row.version} | {row.gymnasium} | {row.feature} | {works} "
            f"| {row.result} |"
        )
    return "\n".join(lines) + "\n"
