"""The tables in docs/RESULTS.md and docs/ABLATIONS.md are those that the benchmark wrote."""

import json
import re

import pytest

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.display.tables import markdown
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite_files import load_suite
from agents.tasks.page import ASKED
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "RESULTS.md").read_text()
PAGES = TEXT + (DOCS / "ABLATIONS.md").read_text()
README = " ".join((ROOT / "README.md").read_text().split())
LEARNERS = ("belief search", "PPO on a map")
REPORTS = sorted((DOCS / "results").glob("*/report.md"))
ROWS = sorted((DOCS / "results").glob("*/rows"))


def test_every_table_is_a_reports():
    written = {line for path in REPORTS for line in path.read_text().splitlines()}
    rows = [line for line in PAGES.splitlines() if line.startswith("|")]
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


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.parent.name)
def test_reports_are_what_the_rows_beside_them_say(path):
    report = make_report(load_suite(path.parent.name), ResultsFolder(path))
    assert markdown(report) == (path.parent / "report.md").read_text()


@pytest.mark.parametrize("suite", sorted({asked.suite for asked in ASKED.values()}))
def test_what_a_task_asks_for_is_missed_when_it_is_taken_away(suite):
    report = json.loads((DOCS / "results" / suite / "report.json").read_text())
    (setting,) = report["settings"]
    assert setting["differences"]
    assert all(each["mean_return"]["low"] > 0 for each in setting["differences"])
    seeds = {len(line["seeds"]) for line in setting["lines"] if line["kind"] == "learner"}
    assert seeds == {5}


def _percent(interval: dict[str, float]) -> str:
    estimate, low, high = (round(100 * interval[each]) for each in ("estimate", "low", "high"))
    return f"{estimate}% [{low}, {high}]"


@pytest.mark.parametrize(
    ("suite", "name", "begins"),
    [
        ("values", "Q on a map, 0.4M steps", "From rewards alone"),
        ("values", "Q on a map, 20M steps, 80,000 scenes", "From rewards alone"),
        ("scenes", "belief search, 80,000 scenes", "Taught by an oracle"),
        ("paper", "paper's learner, up to 5M steps", "The paper's learner"),
        ("learners", "paper's learner", "The paper's learner"),
        ("learners", "SB3 RecurrentPPO, 131k steps", "The paper's learner"),
    ],
)
def test_what_stands_first(suite, name, begins):
    report = json.loads((DOCS / "results" / suite / "report.json").read_text())
    gaps = {line["name"]: line["gap"] for line in report["settings"][0]["lines"]}
    (said,) = re.findall(rf"- \*\*{begins}.*?\n(?=- |\n)", TEXT, flags=re.DOTALL)
    assert _percent(gaps[name]) in " ".join(said.split())


def test_what_a_map_learns_by_each_signal():
    gaps, seconds = {}, {}
    for suite in ("learners", "signals"):  # both have a REINFORCE; the map's is meant
        report = json.loads((DOCS / "results" / suite / "report.json").read_text())
        for line in report["settings"][0]["lines"]:
            gaps[line["name"]] = line["gap"]
            if line["kind"] == "learner":
                seconds[line["name"]] = round(line["training"]["seconds"])
    plain, recurrent, told, values = (
        _percent(gaps[name])
        for name in ("REINFORCE", "REINFORCE, grid", "imitation of the oracle", "Q-learning")
    )
    text = " ".join(TEXT.split())
    assert f"closes {plain} of the gap with the map, in {seconds['REINFORCE']} seconds" in text
    assert f"and {recurrent} with a recurrent network" in text
    assert f"the map closes {told} instead of the {values} of values" in text
    took = (seconds[name] for name in ("imitation of the oracle", "Q-learning"))
    assert "takes {} seconds in the place of {}".format(*took) in text


def test_what_one_setting_reaches_on_four_tasks():
    report = json.loads((DOCS / "results" / "keys" / "report.json").read_text())
    ours, papers = "Q on a map, keys", "paper's learner, 7 x 7 patches"
    overall = {each["name"]: each for each in report["aggregates"]}
    shares = [_percent(overall[name]["gap"]) for name in (ours, papers)]
    better = f"{overall[ours]['improvement']['estimate']:.2f}".lstrip("0")
    text = " ".join(TEXT.split())
    assert "comes to {} and the paper's learner to {};".format(*shares) in text
    assert f"above one of the latter with a probability of {better}." in text
    for said in (text, README):
        assert f"closes {shares[0]} of the way from random patches to the" in said
        assert f"with as many episodes {shares[1]}" in said
    (hidden,) = (each for each in report["settings"] if each["name"] == "hidden digits")
    lines = {each["name"]: each for each in hidden["lines"]}
    returns = [
        f"{lines[name][which]['estimate']:.3f}"[1:]
        for name in (ours, papers)
        for which in ("return_on_training", "mean_return")
    ]
    said = (
        "with a return of {} on those that it learned from and {} on test scenes, the paper's "
        "learner less so ({} and {})"
    )
    assert said.format(*returns) in text
    for setting in report["settings"]:
        seeds = {each["name"]: len(each["seeds"]) for each in setting["lines"]}
        assert seeds[ours] == seeds[papers] == 5


def test_what_tasks_reach_on_more_scenes():
    page = (DOCS / "LEADERBOARD.md").read_text()
    # the first of its rows is of all tasks
    row = next(line for line in page.splitlines() if line.startswith("| Q on a map |"))
    shares = [cell.strip() for cell in row.split("|")[5:8]]
    assert "They close {}, {} and {} of the way".format(*shares) in " ".join(TEXT.split())


def test_what_further_scenes_show():
    found = json.loads((DOCS / "further.json").read_text())
    own, further = found["tables"].values()
    ours, random, oracle = (
        next(row for row in further if row["name"].startswith(name))
        for name in ("cluttered-digits-rewards", "random", "greedy oracle")
    )
    ends = (f"{row['accuracy'][-1]:.3f}"[1:] for row in (ours, random, oracle))
    said = (
        "right in {} after look 5 and closes {:.0%} of the gap: there random patches end at {} and"
    )
    right, blind, best = ends
    text = " ".join(TEXT.split())
    assert said.format(right, ours["gap_closed"], blind) in text
    assert f"the greedy oracle at {best} " in text
    before = next(row for row in own if row["name"] == ours["name"])
    assert abs(before["gap_closed"] - ours["gap_closed"]) < 0.015


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
    best = round(100 * gaps["belief search, 80,000 scenes"])
    assert f"closes {best}% of the gap" in README


def test_what_is_learned_from_rewards_alone():
    report = json.loads((DOCS / "results" / "values" / "report.json").read_text())
    lines = {line["name"]: line for line in report["settings"][0]["lines"]}
    soon, later, longest = (
        lines[f"Q on a map, {steps}"]
        for steps in ("0.4M steps", "1.0M steps", "20M steps, 80,000 scenes")
    )
    text = " ".join(TEXT.split())
    said = re.search(
        r"20,000 scenes, (\d+)% .*?after (\d+) seconds of .*? and (\d+)% .*?after (\d+)\.", text
    )
    expected = [
        figure
        for line in (soon, later)
        for figure in (round(100 * line["gap"]["estimate"]), round(line["training"]["seconds"]))
    ]
    assert list(map(int, said.groups())) == expected
    assert soon["gap"]["low"] >= 0.8 and soon["training"]["seconds"] < 60
    minutes = round(longest["training"]["seconds"] / 60)
    gap = _percent(longest["gap"])
    assert f"80,000 scenes it is {gap} after 20 million steps, in {minutes} minutes" in text
    assert (longest["training"]["at_plateau"], len(longest["seeds"])) == (1, 5)
    assert "in one of five trainings the return on validation images no longer rose" in text
    assert f"Q-learning on a map, {gap} in its longest trainings" in README
    assert f"and {expected[0]}% in {expected[1]} seconds of one core" in README


def test_what_a_first_look_can_know():
    found = json.loads((DOCS / "first_look.json").read_text())
    names = ("oracle", "principal components of features", "all features", "pixels of the glance")
    oracle, reduced, whole, pixels = (f"{round(found[each]['test'], 4):.3f}"[1:] for each in names)
    text = " ".join(TEXT.split())
    assert f"shows of a glance, in {whole} of the test scenes (in {reduced} from their" in text
    assert f"of the glance itself in {pixels}; the oracle has {oracle}." in text


def test_where_the_papers_learner_ends():
    report = json.loads((DOCS / "results" / "paper" / "report.json").read_text())
    line = next(each for each in report["settings"][0]["lines"] if each["kind"] == "learner")
    again, right = (_percent(line[name]) for name in ("seen_again", "put_right"))
    text = " ".join(TEXT.split())
    assert f"at after a miss {again} it has just seen, and {right} of these looks" in text
    assert (line["training"]["at_plateau"], len(line["seeds"])) == (2, 5)
    assert "In two of the five trainings the curve was flat before 5 million steps" in text
    end = f"{line['accuracy'][-1]['estimate']:.3f}"[1:]
    assert f"to {end} where it ends when it is run longer" in PAGES


def test_how_long_all_trainings_take():
    (suites,) = re.findall(r"^SUITES := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    took = {}
    for name in suites.split():
        report = json.loads((DOCS / "results" / name / "report.json").read_text())
        seconds = {
            (setting["name"], line["name"]): line["training"]["seconds"]
            for setting in report["settings"]
            for line in setting["lines"]
            if line["training"]
        }
        for run in load_suite(name).runs():  # suites share runs
            took.setdefault(run.key, seconds.get((run.setting.name, run.entry.name), 0))
    said = f"trainings of all suites are {sum(took.values()) / 3600:.0f} hours of one core"
    assert said in " ".join(TEXT.split())


def test_learners_have_five_seeds_and_lie_above_blind_rules():
    report = json.loads((DOCS / "results" / "learners" / "report.json").read_text())
    lines = report["settings"][0]["lines"]
    learners = [line for line in lines if line["kind"] == "learner"]
    blind = [line for line in lines if line["kind"] == "rule" and "saliency" not in line["name"]]
    assert all(len(line["seeds"]) >= 5 for line in learners)
    ends = [line["accuracy"][-1] for line in blind]
    highest = max(end["estimate"] if end["high"] is None else end["high"] for end in ends)
    assert all(line["accuracy"][-1]["low"] > highest for line in learners)
