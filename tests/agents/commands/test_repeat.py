"""A row of a benchmark is run again from what it says of itself."""

import json
from pathlib import Path

import pytest

from agents.benchmark import repetition
from agents.benchmark.results_folder import ResultsFolder, _row_line
from agents.benchmark.running.executors import EXECUTORS
from agents.benchmark.suite_files import load_suite
from agents.cli import main
from agents.reporting.provenance import file_digest, revision
from tests.helpers.benchmark_rows import fill, make_row, make_suite
from tests.helpers.image_trees import stripes_network, write_stripes
from tests.helpers.paths import ROOT

SUITE = """
description = "a test"
seeds = [3]
include = ["references"]
reference = "mine"
[[settings]]
name = "few"
dataset = "IMAGES"
network = "NETWORK"
num_images = 20
[[policies]]
name = "mine"
learner = "reinforce"
settings = { updates = 2, num_envs = 8 }
"""


@pytest.fixture(scope="module", autouse=True)
def _in_this_process():
    """New processes take seconds each; tests of sweeps start them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXECUTORS, "local", "tests.helpers.in_process:InProcess")
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with two rows."""
    folder = tmp_path_factory.mktemp("done")
    images, network = write_stripes(folder / "images", counts=(12, 24, 24)), folder / "network"
    stripes_network().save(network)
    suite = SUITE.replace("IMAGES", str(images)).replace("NETWORK", str(network))
    (folder / "mine.toml").write_text(suite)
    only = ["--only", "random", "mine", "--jobs", "2"]
    assert main(["benchmark", str(folder / "mine.toml"), "--output", str(folder), *only]) == 0
    return folder


def printed(capsys):
    out, err = capsys.readouterr()
    return " ".join(out.split()), " ".join(err.split())


def edited(done, tmp_path, **changes):
    """A file with the learner's row, changed and with a checksum that fits."""
    row = next(row for row in ResultsFolder(done).read() if row.kind == "learner")
    for name, value in changes.items():
        object.__setattr__(row, name, value)
    path = tmp_path / "rows.jsonl"
    first = (done / "results.jsonl").read_bytes().split(b"\n")[0]
    path.write_bytes(b"\n".join([first, _row_line(row), b""]))
    return row, path


def test_a_row_agrees_in_all_digits(done, tmp_path, capsys):
    kept = tmp_path / "kept"
    assert main(["repeat", str(done), "mine, seed 3", "--output", str(kept)]) == 0
    out, _ = printed(capsys)
    assert "mine, seed 3: agrees in all digits (figures and arrays of each image)." in out
    report = json.loads((kept / "repeat.json").read_text())
    assert (report["digits"], report["differing"]) == (None, [])
    assert [row.policy for row in ResultsFolder(kept).read()] == ["mine"]


def test_a_figure_that_was_edited_is_found(done, tmp_path, capsys):
    before = ResultsFolder(done).read()
    wrong = next(row for row in before if row.kind == "learner").budgeted_area * (1 + 5e-5)
    _, path = edited(done, tmp_path, budgeted_area=wrong)
    assert main(["repeat", str(path), "1"]) == 1
    out, errors = printed(capsys)
    assert "agrees in 4 digits (figures; it has no arrays)" in out
    assert "budgeted_area is the same in 4; 1 figures differ" in errors
    assert main(["repeat", str(path), "1", "--digits", "4"]) == 0
    assert main(["repeat", str(path), "1", "--digits", "5"]) == 1


def test_rows_are_listed(done, capsys):
    assert main(["repeat", str(done)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split("  ")[2] for line in lines) == [
        "mine, seed 3, on few: done",
        "random, seed 3, on few: done",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "failed", "reason": "it fell"}, "failed: it fell; only what is done can be"),
        ({"task": {"network digest": "0123"}}, "its network digest was 0123 and is now"),
        ({"spec": {}}, "this version cannot do the run of mine, seed 3: 'setting'"),
    ],
)
def test_rows_that_cannot_be_repeated(done, tmp_path, capsys, changes, message):
    row, path = edited(done, tmp_path, **changes)
    assert main(["repeat", str(path), row.key]) == 1
    assert message in printed(capsys)[1]


@pytest.mark.parametrize("asked", ["7", "0", "nobody, seed 1"])
def test_rows_that_are_not_there(done, capsys, asked):
    assert main(["repeat", str(done), asked]) == 1
    assert f"0 of 2 rows are called {asked!r}" in printed(capsys)[1]
    assert main(["repeat", str(done / "nothing"), asked]) == 1
    assert "expected a folder of results or a file of rows" in printed(capsys)[1]


def test_a_name_on_several_settings(tmp_path, capsys):
    fill(tmp_path, make_suite(seeds=(0,), settings=("one", "two")))
    assert main(["repeat", str(tmp_path), "random, seed 0"]) == 1
    assert "2 of 8 rows are called 'random, seed 0'; choose one of " in printed(capsys)[1]


@pytest.mark.parametrize("name", ["learners", "tasks", "stopping", "rewards"])
def test_the_run_of_a_row_is_that_of_the_suite(name, monkeypatch):
    """JSON forgets that tuples were tuples, and infinity."""
    monkeypatch.setattr(repetition, "task_identity", lambda setting: {})
    runs = [run for run in load_suite(name).runs() if run.seed == 0]
    assert len(runs) > 3
    for run in runs:
        row = make_row(run, 0.7, spec=json.loads(json.dumps(run.spec)))
        assert repetition.remake_run(row).key == run.key


def test_a_manifest_says_by_what_a_report_was_made(done):
    place = done / "mine"
    manifest = json.loads((place / "manifest.json").read_text())
    rows = ResultsFolder(done).read()
    assert manifest["command"] == "benchmark"
    assert manifest["seeds"] == [3]
    assert manifest["configuration"]["only"] == ["random", "mine"]
    assert manifest["networks"] == {str(done / "network"): rows[0].task["network digest"]}
    assert manifest["data"] == {f"{done / 'images'}, test": rows[0].task["images digest"]}
    assert {row.made["revision"] for row in rows} == {manifest["revision"]} == {revision()}
    files = {str(each.relative_to(place)) for each in place.iterdir()}
    assert files == {"manifest.json", *manifest["files"]}
    assert all(file_digest(place / name) == sha for name, sha in manifest["files"].items())


@pytest.mark.skipif(not (Path(ROOT) / ".git").exists(), reason="not a clone")
def test_the_revision_is_that_of_the_clone():
    assert len(revision().removesuffix("-changed")) == 40
