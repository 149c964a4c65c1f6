"""What docs/CURVES.md and README say of the curves is what was measured."""

import json
import re

import pytest

from agents.curves.page import report_page
from tests.helpers.paths import ROOT

CURVES = ROOT / "docs" / "curves"
TEXT = (ROOT / "docs" / "CURVES.md").read_text()
README = " ".join((ROOT / "README.md").read_text().split())
FOUND = json.loads((CURVES / "curves.json").read_text())
EARLY = json.loads((CURVES / "early_exit.json").read_text())
PLAIN = {each["setting"]: each for each in FOUND["points"] if each["curve"] == "plain"}
SHOWN = FOUND["pairs"][0]["test"]["confident"]
QUARTER = [row["wanted"] for row in SHOWN].index(0.97)
"""Which row the headline is of."""
LARGE = [
    ("rings", "## A MobileNetV3 on large scenes", "## A RegNetY on the same scenes"),
    ("rings-regnet", "## A RegNetY on the same scenes", "## Made by"),
]
"""Folders of curves, the heading of what is said of them, and the next heading."""


@pytest.mark.parametrize(("folder", "first", "after"), [(".", "# Less work", "## Time"), *LARGE])
def test_tables_are_the_reports(folder, first, after):
    found = json.loads((CURVES / folder / "curves.json").read_text())
    written = report_page(found)
    assert (CURVES / folder / "report.md").read_text() == written
    tables = TEXT[TEXT.index(first) : TEXT.index(after)]
    rows = [line for line in tables.splitlines() if re.match(r"\| \d", line)]
    plain = [each for each in found["points"] if each["curve"] == "plain"]
    shown = {row["setting"] for row in found["pairs"][0]["test"]["confident"]}
    assert len(rows) == len(shown) + len(plain)
    assert [row for row in rows if row not in written.splitlines()] == []


def test_plain_networks_learned_as_long_as_the_pair():
    recipe = FOUND["training"]["recipe"]
    pair = json.loads((ROOT / "gf_env" / "assets" / f"{FOUND['network']}.json").read_text())
    own = pair["config"]["recipe"]
    epochs = sum(own[phase]["epochs"] for phase in ("low_resolution", "stage1", "stage3"))
    assert recipe["low_resolution"]["epochs"] == epochs
    assert f"{epochs} epochs" in TEXT


def test_ratios_in_the_text():
    rows = [row for part in ("test", "further") for row in FOUND["pairs"][0][part]["confident"]]
    found = {(f"{row['ratio']:.2f}"[1:], f"{row['accuracy']:.3f}"[1:]) for row in rows}
    said = re.findall(r"(\.\d\d) at (\.\d{3})", TEXT)
    assert len(said) == 6
    assert {*said} <= found
    budgeted = [row["ratio"] for row in FOUND["pairs"][0]["test"]["budgeted"]]
    assert f"the ratio is {min(budgeted):.2f} to {max(budgeted):.2f}:".replace("0.", ".") in TEXT


def test_times_in_the_text():
    times = {
        (each["batch_size"], each["threads"]): [row["ratio"] for row in each["confident"]]
        for each in FOUND["time"]
    }
    text = " ".join(TEXT.split())
    for row, said in (
        (
            QUARTER,
            "At {} the pair takes {} of a plain network's time with two threads and {} with one",
        ),
        (QUARTER - 2, "at {} {} and {}"),
        (QUARTER - 3, "at {} it saves next to nothing"),
    ):
        ratios = (f"{times[64, threads][row]:.2f}" for threads in (2, 1))
        sentence = said.format(f"{SHOWN[row]['accuracy']:.4f}", *ratios)
        assert sentence.replace("0.", ".") in text
    assert 0.95 <= times[64, 2][QUARTER - 3] < 1
    alone = [*times[1, 1], *times[1, 2]]
    assert f"it takes {min(alone):.1f} to {max(alone):.1f} times as long" in text


@pytest.mark.parametrize(("folder", "first", "after"), LARGE)
def test_what_large_scenes_show(folder, first, after):
    text = " ".join(TEXT[TEXT.index(first) : TEXT.index(after)].split())
    measured = json.loads((CURVES / folder / "curves.json").read_text())
    times = {
        (each["batch_size"], each["threads"]): [row["ratio"] for row in each["confident"]]
        for each in measured["time"]
    }
    found = measured["pairs"][0]["test"]
    best = found["confident"][-1]
    two, one, work = (
        f"{ratio:.2f}"[1:] for ratio in (times[64, 2][-1], times[64, 1][-1], best["ratio"])
    )
    assert f"At {best['accuracy']:.3f} the pair takes {two}".replace("0.", ".") in text
    assert f"with two threads, and {one} with one" in text
    if folder == "rings":
        assert f"takes {two} of the time of a plain one that is as often right" in README
    assert f"for {work} of its multiply-adds" in text
    alone = [*times[1, 1], *times[1, 2]]
    assert f"it takes {min(alone):.1f} to {max(alone):.1f} times as long" in text
    budgeted = [row["ratio"] for row in found["budgeted"]]
    assert f"costs {min(budgeted):.2f} to {max(budgeted):.2f} times the multiply-adds" in text


def test_what_a_regnet_does_beside_smaller_plain_ones():
    points = json.loads((CURVES / "rings-regnet" / "curves.json").read_text())["points"]
    by_curve = {(each["curve"], each["setting"]): each for each in points}
    ours, plain = by_curve["confident", 0.85], by_curve["plain", 192]
    work = f"{ours['multiply_adds'] / 1e6:.1f} million"
    said = f"confidence of .85 the pair is right in {ours['accuracy']:.4f} for {work}"
    text = " ".join(TEXT.split())
    assert said.replace("in 0.", "in .") in text
    assert f"at 192 pixels one is right in {plain['accuracy']:.4f}".replace("0.", ".") in text
    first = f"right in {by_curve['anytime', 2]['accuracy']:.3f} of the test scenes after one patch"
    assert first.replace("0.", ".") in text


def test_what_early_exit_saves():
    runs = {run["threads"]: run["budgets"] for run in EARLY["runs"]}
    assert EARLY["network"] == FOUND["network"]
    for one, two in zip(runs[1], runs[2], strict=True):
        cells = [f"{one['q']:g}", f"{one['multiply_adds_saved']:.1%}"]
        for each in (one, two):
            cells += [f"{each['time_saved']:.1%}", f"{each['ratio']:.2f}"]
        assert f"| {' | '.join(cells)} |" in TEXT


def test_a_quarter_of_the_work():
    """The cheapest point that reaches .97 on validation images, beside plain networks."""
    row = SHOWN[QUARTER]
    (ours,) = [
        each
        for each in FOUND["points"]
        if (each["curve"], each["setting"]) == ("confident", row["setting"])
    ]
    plain = max(
        (each for each in PLAIN.values() if each["accuracy"] <= ours["accuracy"]),
        key=lambda each: each["setting"],
    )
    mean = FOUND["over_pairs"]["test"]["confident"][QUARTER]
    assert (mean["wanted"], mean["seeds"]) == (0.97, 5)
    assert mean["low"] < 0.25 < mean["high"]
    accuracy, than = (f"{each['accuracy']:.4f}"[1:] for each in (ours, plain))
    cost, most = (f"{each['multiply_adds'] / 1e6:.1f} million" for each in (ours, plain))
    took, takes = (f"{each['seconds'] * 1e3:.2f} ms" for each in (ours, plain))
    (time,) = [each for each in FOUND["time"] if (each["batch_size"], each["threads"]) == (64, 2)]
    work, faster = (f"{each['ratio']:.2f}"[1:] for each in (row, time["confident"][QUARTER]))
    over_all = "{estimate:.2f} [{low:.2f}, {high:.2f}]".format(**mean).replace("0.", ".")
    text = " ".join(TEXT.split())
    assert f"right in {accuracy} of the test scenes for {cost} multiply-adds and {took}" in text
    assert (
        f"at {plain['setting']:.0f} pixels needs {most} and {takes}, and is right in {than}."
        in text
    )
    assert f"takes {work} of the multiply-adds and {faster} of the time" in text
    assert f"it is {over_all} of the multiply-adds." in text
    assert f"right in {accuracy} of the test scenes for {cost} multiply-adds" in README
    assert f"at {plain['setting']:.0f} pixels needs {most} and is right in {than}." in README
    assert f"five trainings, {over_all} of the multiply-adds" in README
