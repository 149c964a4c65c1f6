"""What docs/CURVES.md and README say of the curves is what was measured."""

import json
import re

import pytest

from agents.curves.page import report_page
from agents.curves.pairs import load_pair
from tests.helpers.paths import ROOT

CURVES = ROOT / "docs" / "curves"
TEXT = (ROOT / "docs" / "CURVES.md").read_text()
README = " ".join((ROOT / "README.md").read_text().split())
FOUND = json.loads((CURVES / "curves.json").read_text())
EARLY = json.loads((CURVES / "early_exit.json").read_text())
PLAIN = {each["setting"]: each for each in FOUND["points"] if each["curve"] == "plain"}
SHOWN = FOUND["pairs"][0]["test"]["confident"]
RINGS = json.loads((CURVES / "rings" / "curves.json").read_text())
LARGE = "## A MobileNetV3 on large scenes"


@pytest.mark.parametrize(
    ("folder", "first", "after"), [(".", "# Less work", "## Time"), ("rings", LARGE, "## Made by")]
)
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
    assert len(said) == 5
    assert {*said} <= found
    budgeted = [row["ratio"] for row in FOUND["pairs"][0]["test"]["budgeted"]]
    assert f"the ratio is {min(budgeted):.2f} to {max(budgeted):.2f}:".replace("0.", ".") in TEXT


def test_times_in_the_text():
    times = {
        (each["batch_size"], each["threads"]): [row["ratio"] for row in each["confident"]]
        for each in FOUND["time"]
    }
    text = " ".join(TEXT.split())
    two, one = (f"{times[64, threads][-1]:.2f}"[1:] for threads in (2, 1))
    assert f"takes {two} of a plain network's time with two threads and {one} with one" in text
    assert 0.95 <= times[64, 2][2] < 1
    assert f"at {SHOWN[2]['accuracy']:.3f} it saves next to nothing".replace("0.", ".") in text
    alone = [*times[1, 1], *times[1, 2]]
    assert f"it takes {min(alone):.1f} to {max(alone):.1f} times as long" in text


def test_what_large_scenes_show():
    text = " ".join(TEXT[TEXT.index(LARGE) :].split())
    times = {
        (each["batch_size"], each["threads"]): [row["ratio"] for row in each["confident"]]
        for each in RINGS["time"]
    }
    found = RINGS["pairs"][0]["test"]
    best = found["confident"][-1]
    two, one, work = (
        f"{ratio:.2f}"[1:] for ratio in (times[64, 2][-1], times[64, 1][-1], best["ratio"])
    )
    assert f"At {best['accuracy']:.3f} the pair takes {two}".replace("0.", ".") in text
    assert f"with two threads, and {one} with one" in text
    assert f"takes {two} of the time of a plain one that is as often right" in README
    assert f"for {work} of its multiply-adds" in text
    alone = [*times[1, 1], *times[1, 2]]
    assert f"it takes {min(alone):.1f} to {max(alone):.1f} times as long" in text
    budgeted = [row["ratio"] for row in found["budgeted"]]
    assert f"costs {min(budgeted):.2f} to {max(budgeted):.2f} times the multiply-adds" in text


def test_what_early_exit_saves():
    runs = {run["threads"]: run["budgets"] for run in EARLY["runs"]}
    assert EARLY["network"] == FOUND["network"]
    for one, two in zip(runs[1], runs[2], strict=True):
        cells = [f"{one['q']:g}", f"{one['multiply_adds_saved']:.1%}"]
        for each in (one, two):
            cells += [f"{each['time_saved']:.1%}", f"{each['ratio']:.2f}"]
        assert f"| {' | '.join(cells)} |" in TEXT


def test_a_quarter_of_the_work():
    """The cheapest point that reaches .97 on validation images, beside a plain network."""
    measured = load_pair(CURVES / "pairs" / "0-cluttered-digits-search.json")
    reaching = [
        each for each in measured.held_out if each.curve == "confident" and each.accuracy >= 0.97
    ]
    setting = min(reaching, key=lambda each: each.multiply_adds).setting
    (ours,) = [
        each
        for each in FOUND["points"]
        if (each["curve"], each["setting"]) == ("confident", setting)
    ]
    plain = PLAIN[max(PLAIN)]
    assert ours["accuracy"] >= plain["accuracy"]
    assert ours["multiply_adds"] / plain["multiply_adds"] == pytest.approx(0.25, abs=0.015)
    accuracy, than = (f"{each['accuracy']:.4f}"[1:] for each in (ours, plain))
    cost, most = (f"{each['multiply_adds'] / 1e6:.1f} million" for each in (ours, plain))
    took, takes = (f"{each['seconds'] * 1e3:.2f} ms" for each in (ours, plain))
    text = " ".join(TEXT.split())
    assert f"right in {accuracy} of the test scenes for {cost} multiply-adds and {took}" in text
    assert f"at {max(PLAIN):.0f} pixels needs {most} and {takes}, and is right in {than}." in text
    assert f"right in {accuracy} of the test scenes for {cost} multiply-adds" in README
    assert f"at {max(PLAIN):.0f} pixels needs {most} and is right in {than}." in README
