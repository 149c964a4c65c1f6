"""The table in docs/LIBRARIES.md is the one that `make test-libraries` wrote."""

import re

import pytest

from tests.helpers import libraries_table
from tests.helpers.libraries_table import BEGIN, END, JSON, PAGE, Row, markdown, read, update

TEXT = PAGE.read_text()
LIBRARIES = (
    "CleanRL",
    "Minari",
    "Ray",
    "RL Baselines3 Zoo",
    "RLlib",
    "skrl",
    "Tianshou",
    "TorchRL",
)


def row(library, feature, works=True, result=""):
    return Row(library, "1.0", "1.4.0", feature, works, result)


def test_the_page_shows_what_was_written():
    table = TEXT.split(BEGIN)[1].split(END)[0]
    assert table.strip() == markdown(read(JSON)).strip()


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_was_tested_and_has_a_section(library):
    assert [each for each in read(JSON) if each.library.startswith(library) and each.works]
    assert library == "Ray" or re.search(f"^## {library}", TEXT, re.MULTILINE)


def test_rows_of_the_libraries_that_were_tested_are_written_anew(tmp_path, monkeypatch):
    file, page = tmp_path / "libraries.json", tmp_path / "PAGE.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monkeypatch.setattr(libraries_table, "PAGE", page)
    update(file, [row("A", "old"), row("B", "kept", result="fine")])
    update(file, [row("A", "new", result="1"), row("A", "new", works=False, result="2")])
    assert read(file) == [
        row("A", "new", works=False, result="1, 2"),
        row("B", "kept", True, "fine"),
    ]
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| A 1.0 | 1.4.0 | new | **no** | 1, 2 |" in lines
