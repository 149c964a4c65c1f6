import contextlib
import json
from pathlib import Path

import pytest

from agents.cli import main

SUITE = """
description = "a test"
seeds = [0, 1, 2]
include = ["references"]
reference = "random"

[[settings]]
name = "few"
num_images = 20
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SUITE)
    return "mine.toml"


def test_the_list_of_suites(capsys):
    assert main(["benchmark", "list"]) == 0
    printed = capsys.readouterr().out
    assert "rules: Rules without learning" in printed
    assert "learners: " in printed


def test_a_suite_with_a_policy_of_ones_own(suite, capsys):
    fine, broken = (f"tests.helpers.odd_policies:{name}" for name in ("Sideways", "NotANumber"))
    arguments = ["benchmark", suite, "--policies", fine, broken, "--seeds", "5", "--output", "out"]
    arguments += ["--only", "random", fine, broken]
    assert main([*arguments, "--jobs", "2"]) == 1
    printed, errors = capsys.readouterr()
    assert f"1 of 3 runs failed: {broken}, seed 5." in " ".join(errors.split())
    assert "add --retry" in " ".join(errors.split())
    assert f"{fine}, seed 5: accuracy" in printed
    assert f"{broken}, seed 5 failed: ValueError: actions must not be NaN" in printed
    report = json.loads(Path("out/mine/report.json").read_text())
    assert report["runs"] == 2
    assert "must not be NaN" in " ".join(report["missing"])
    assert fine in Path("out/mine/report.md").read_text()
    assert Path("out/mine/accuracy_per_look.png").stat().st_size > 1000
    rows = Path("out/results.jsonl").read_text()
    assert main([*arguments, "--no-run"]) == 1
    assert main([*arguments[:-1], "--no-run"]) == 0  # without the one that failed
    assert Path("out/results.jsonl").read_text() == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "unknown suite 'nowhere'"),
        (["rules", "--only", "magic"], "has no ['magic']; it has ['random'"),
        (["rules", "--level", "simple"], "unknown level 'simple'"),
        (["rules", "--policies", "centr"], "policy 'centr', of which no run was begun: "),
        (["rules", "--policies", "tests.helpers.odd_policies:Sidewards"], "has no 'Sidewards'"),
        (["rules", "--jobs", "0"], "jobs must be greater than 0"),
        (["rules", "--timeout", "-1"], "timeout must be greater than 0"),
        (["rules", "--policies", "theirs.zip"], "If you trust whoever made it, say so"),
    ],
)
def test_what_cannot_be(arguments, message, suite, capsys):
    assert main(["benchmark", *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(Path().rglob("results.jsonl"))


def test_seeds_that_are_the_same(capsys):
    with contextlib.suppress(SystemExit):  # versions of tyro raise it or not
        assert main(["benchmark", "rules", "--seeds", "0", "0"]) != 0
    assert "seeds must be one or more different" in capsys.readouterr().err


def test_names_are_not_markup(suite, capsys):
    """A policy's name may close a tag that the progress bar never opened."""
    text = (
        SUITE
        + """
[[policies]]
name = "[/red]"
policy = "centre"
"""
    )
    Path(suite).write_text(text)
    assert main(["benchmark", suite, "--seeds", "0", "--only", "[/red]", "--output", "out"]) == 0
    assert "[/red], seed 0: accuracy" in capsys.readouterr().out


def test_a_damaged_row_and_damaged_arrays_are_redone(suite, capsys, caplog):
    arguments = ["benchmark", suite, "--only", "random", "--seeds", "0", "1", "--output", "out"]
    assert main(arguments) == 0
    report = json.loads(Path("out/mine/report.json").read_text())
    first, edited, other = Path("out/results.jsonl").read_text().splitlines()
    edited = edited.replace('"accuracy": [0.', '"accuracy": [0.9', 1)
    Path("out/results.jsonl").write_text("\n".join([first, edited, other, ""]))
    damaged = Path("out/arrays") / f"{json.loads(other)['key']}.npz"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    assert main(arguments) == 0
    assert "line 2 of out/results.jsonl is damaged" in caplog.text
    assert f"cannot be read from {damaged}" in caplog.text
    rows = Path("out/results.jsonl").read_text().splitlines()
    assert rows[:2] == [first, other] and len(rows) == 4  # two were redone
    again = json.loads(Path("out/mine/report.json").read_text())
    assert again["settings"] == report["settings"]
    caplog.clear()
    assert main(arguments) == 0
    assert caplog.text == ""
