"""Cells by hand; terminal, Markdown and JSON say the same."""

import io
import re

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.analysis.report import Report
from agents.benchmark.analysis.statistics import Interval
from agents.benchmark.display.cells import percent, share, text_tables
from agents.benchmark.display.tables import markdown, terminal_tables
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Difference, Entry
from tests.helpers.benchmark_rows import (
    IMAGES,
    ORACLE,
    OTHER,
    PAPER,
    RANDOM,
    fill,
    fill_stopping,
    make_suite,
    spread,
    stopping_suite,
)
from tests.helpers.paths import ROOT

PUBLISHED = sorted((ROOT / "docs" / "results").iterdir())


@pytest.fixture
def report(tmp_path):
    pairs = (Difference("more", OTHER, PAPER), Difference("none", OTHER, "nobody"))
    suite = make_suite(settings=("one", "two | three"), differences=pairs)
    return make_report(suite, fill(tmp_path, suite, spread))


def rows_of(text):
    """Return the cells of every line of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]


def printed(tables):
    console = Console(file=io.StringIO(), width=110)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.8714, 0.8659, 0.8761, 5), ".871 [.866, .876]"),
        (Interval(1.0, 0.9996, 1.0, 5), "1.000 [1.000, 1.000]"),
        (Interval(-0.0123, -0.2, 0.0, 5), "-.012 [-.200, .000]"),
        (Interval(-0.0001, None, None, 1), ".000"),
        (None, ""),
    ],
)
def test_shares(interval, text):
    assert share(interval).text == text


def test_signs():
    assert share(Interval(0.0312, -0.01, 0.05, 5), sign="+").text == "+.031 [-.010, +.050]"


def test_percent():
    assert percent(Interval(0.8714, 0.849, -0.001, 5)).text == "87% [85, 0]"
    assert percent(None).text == ""


def test_cells_by_hand(report):
    tables = text_tables(report)
    names = [column.name for column in tables[0].columns]
    assert names == ["policy", "kind", "seeds", "1", "2", "3", "return", "gap"]
    accuracy, compared, cost, *_, over_all = (
        {row[0].text: [cell.text for cell in row] for row in table.rows} for table in tables
    )
    assert accuracy[ORACLE] == [ORACLE, "bound", "1", ".400", ".650", ".900", ".500", "100%"]
    assert accuracy[PAPER][5:] == [".700 [.700, .700]", ".300 [.300, .300]", "50% [50, 50]"]
    row = compared[RANDOM]
    assert row[2].startswith("-20.0 [")
    assert row[3] == ".00 [.00, .00]"
    assert [cell.partition(" [")[0] for cell in row[4:]] == [".400", ".000"]
    assert cost[PAPER] == [PAPER, "learner", ".650 [.650, .650]", "1,000", "12", "83"]
    assert over_all[PAPER][2:5] == ["50% [50, 50]"] * 3
    names = [column.name for column in tables[-1].columns]
    assert names[2:] == ["one", "two | three", "all", "P(better)"]
    (differences, _) = (each for each in tables if "differences" in each.title)
    more, none = ([cell.text for cell in row] for row in differences.rows)
    assert more[:3] == ["more", OTHER, PAPER] and more[3].startswith("-.100 [-.")
    assert none == ["none", OTHER, "nobody", ""]


def test_tables_of_policies_that_stop_by_hand(tmp_path):
    suite = stopping_suite()
    report = make_report(suite, fill_stopping(tmp_path, suite))
    (spent, curves) = text_tables(report)[-2:]
    cells = {row[0].text: [cell.estimate for cell in row[1:]] for row in spent.rows}
    assert cells["price 0.01"] == ["learner", "0.01", ".300", ".290", "2.00", "0.00"]
    assert cells[RANDOM][1] == ""
    assert curves.title.startswith(f"digits, {IMAGES} images: stopping, points of accuracy more")
    assert [column.name for column in curves.columns[-3:]] == [
        "paper's budgets",
        "one confidence",
        "fixed looks",
    ]
    rows = {row[0].text: [cell.text for cell in row[-3:]] for row in curves.rows}
    assert rows["price 0.01"] == ["+5.0 [+5.0, +5.0]"] * 2 + ["+10.0 [+10.0, +10.0]"]
    assert rows["mean over the curve"][-1] == "+6.9 [+6.9, +6.9]"
    text = markdown(report)
    assert "*price*" in text and "*mean over the curve*" in text
    assert max(map(len, printed(terminal_tables(report)).splitlines())) <= 110


def test_markdown_has_the_cells_of_all_metrics_and_what_is_missing(report):
    text = markdown(report)
    rows = rows_of(text)
    for table in text_tables(report):
        for row in table.rows:
            assert [f" {cell.text} " for cell in row] in rows
        assert len({len(each) for each in [table.columns, *table.rows]}) == 1
    for sentence in report.missing:
        assert f"- {sentence}".replace("|", r"\|") in text
    assert "32 of 32 runs done, in 16.0 min of core time; 2030-01-02; a processor, 2 cores" in text
    assert "gf-env 0.1.0, torch 2.9." in text
    for line in (line for setting in report.settings for line in setting.lines):
        cells = {cell.strip() for row in rows if row[0].strip() == line.name for cell in row}
        shares = (*line.accuracy, line.mean_return, line.sampled_accuracy, line.sampled_return)
        assert {share(each).text for each in (*shares, line.budgeted_area)} < cells
        assert percent(line.gap).text in cells


def test_the_terminal_has_the_figures_in_110_columns(tmp_path):
    entries = make_suite().entries
    long = "a learner with quite a long name, 7 x 7"
    entries += tuple(
        Entry(f"{long} ({n})", learner="reinforce", settings={"updates": n}) for n in (1, 2, 3)
    )
    suite = make_suite(entries=entries)
    report = make_report(suite, fill(tmp_path, suite, spread))
    text = printed(terminal_tables(report))
    assert max(map(len, text.splitlines())) <= 110
    for table in text_tables(report):
        for row in table.rows:
            for column, cell in list(zip(table.columns, row, strict=True))[1:]:
                assert (cell.estimate if column.brief else cell.text) in text


def test_names_are_not_taken_for_markup(tmp_path):
    name = "[red]mine[/red] | *yours*"
    suite = make_suite(entries=(Entry(name, policy="random"),))
    report = make_report(suite, fill(tmp_path, suite))
    assert name in printed(terminal_tables(report))
    assert r"| [red]mine[/red] \| *yours* | rule |" in markdown(report)


def test_nothing_done_has_empty_tables(tmp_path):
    report = make_report(make_suite(), ResultsFolder(tmp_path))
    assert all(table.row_count == 4 for table in terminal_tables(report))
    assert f"- {OTHER}, seeds 0, 1, 2, 3, 4 are not done yet." in markdown(report)
    assert "0 of 16 runs done" in markdown(report)


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_published_tables_are_still_made_of_published_reports(folder):
    report = TypeAdapter(Report).validate_json((folder / "report.json").read_bytes())
    assert markdown(report) == (folder / "report.md").read_text()
