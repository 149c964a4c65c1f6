"""The tables in docs/RESULTS.md are those that the benchmark wrote."""

import json
import re

import pytest

from agents.benchmark.suite_files import load_suite
from agents.tasks.page import ASKED
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "RESULTS.md").read_text()
LEARNERS = ("belief search", "PPO on a map")
REPORTS = sorted((DOCS / "results").glob("*/report.md"))


def test_every_table_is_a_reports():
    written = {line for path in REPORTS for line in path.read_text().splitlines()}
    rows = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(rows) > 50
    assert [row for row in rows if row not in written] == []


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.parent.name)
def test_reports_are_of_todays_suites(path):
    suite = load_suite(path.parent.name)
    report = json.loads((path.parent / "report.json").read_text())
    assert [each["name"] for each in report["settings"]] == [each.name for each in suite.settings]
    for setting in report["settings"]:
        names = {line["name"] for line in setting["lines"]}
        assert names == {entry.name for entry in suite.entries}
        assert all(line["accuracy"] for line in setting["lines"])


@pytest.mark.parametrize("suite", sorted({asked.suite for asked in ASKED.values()}))
def test_what_a_task_asks_for_is_missed_when_it_is_taken_away(suite):
    report = json.loads((DOCS / "results" / suite / "report.json").read_text())
    (setting,) = report["settings"]
    assert setting["differences"]
    assert all(each["mean_return"]["low"] > 0 for each in setting["differences"])
    seeds = {len(line["seeds"]) for line in setting["lines"] if line["kind"] == "learner"}
    assert seeds == {5}


def test_what_more_scenes_are_worth():
    report = json.loads((DOCS / "results" / "scenes" / "report.json").read_text())
    gaps = {line["name"]: line["gap"]["estimate"] for line in report["settings"][0]["lines"]}
    said = re.search(
        r"Search with a belief closes (\d+)% .*?instead of (\d+)% .*?"
        r"PPO on a map (\d+)%.*? instead of (\d+)%",
        " ".join(TEXT.split()),
    )
    names = [f"{each}, {count},000 scenes" for each in LEARNERS for count in (80, 20)]
    assert list(map(int, said.groups())) == [round(100 * gaps[name]) for name in names]
    best, from_rewards = (round(100 * gaps[f"{each}, 80,000 scenes"]) for each in LEARNERS)
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"closes {best}% of the gap" in readme
    assert f"from rewards alone, PPO on a map, {from_rewards}%" in readme


def test_learners_have_five_seeds_and_lie_above_blind_rules():
    report = json.loads((DOCS / "results" / "learners" / "report.json").read_text())
    lines = report["settings"][0]["lines"]
    learners = [line for line in lines if line["kind"] == "learner"]
    blind = [line for line in lines if line["kind"] == "rule" and "saliency" not in line["name"]]
    assert all(len(line["seeds"]) >= 5 for line in learners)
    ends = [line["accuracy"][-1] for line in blind]
    highest = max(end["estimate"] if end["high"] is None else end["high"] for end in ends)
    assert all(line["accuracy"][-1]["low"] > highest for line in learners)
