"""Rows that were written before modules moved to today's layout are still known.

`tests/data/before_layout` was made by the code of that time: the keys of all runs of all suites of
the package, and a suite with one short run of most kinds of learners.
"""

import json
import shutil
from pathlib import Path

import pytest

from agents.benchmark.suite import Entry, Run, Setting
from agents.benchmark.suite_files import load_suite, suite_names
from agents.cli import main
from agents.registry import learners
from gf_env.configuration import configuration
from tests.helpers.paths import ROOT

DATA = ROOT / "tests" / "data" / "before_layout"
KEYS = json.loads((DATA / "run_keys.json").read_text())


def test_no_suite_is_gone():
    assert {*KEYS} <= {*suite_names()}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_keys_are_as_they_were(name):
    runs = load_suite(name).runs()
    found = {f"{run.setting.name} | {run.entry.name} | {run.seed}": run.key for run in runs}
    assert found == KEYS[name]


def test_a_benchmark_takes_the_rows_and_starts_no_run(tmp_path, monkeypatch, capsys):
    shutil.copytree(DATA / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    rows = Path("results/results.jsonl").read_bytes()
    assert main(["benchmark", str(DATA / "suite.toml"), "--output", "results"]) == 0
    assert Path("results/results.jsonl").read_bytes() == rows
    report = json.loads(Path("results/suite/report.json").read_text())
    assert report["runs"] == report["planned"] == 8
    assert not any("not compared" in sentence for sentence in report["missing"])
    assert "8 of 8 runs done" in Path("results/suite/report.md").read_text()


@pytest.mark.parametrize(("given", "described"), [({}, "0.5"), ({"rate": 1}, "1")])
def test_a_given_number_is_described_as_it_is_written(monkeypatch, given, described):
    """A configuration turns whole numbers into fractions: 1 into 1.0, which is another text."""

    @configuration
    class Config:
        rate: float = 0.5
        seed: int = 0

    monkeypatch.setitem(learners.LEARNERS, "new", learners.Learner(Config, None))
    run = Run(Entry("a", learner="new", settings=given), Setting("usual"), seed=3)
    assert json.dumps(run.spec["settings"]) == f'{{"rate": {described}, "seed": 3}}'
