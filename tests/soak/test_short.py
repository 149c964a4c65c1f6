"""A short form of `make soak`: a few of everything; hostile files have theirs beside them."""

import itertools
import os
from unittest import mock

import pytest

from tests.soak import disk, run, steps
from tests.soak.jobs import Job, content, differences, make_jobs
from tests.soak.kills import kill_jobs
from tests.soak.processes import EVENTS, Moment, Started, events_in
from tests.soak.together import run_together

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that share imports"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning"),
]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """By name. The benchmark is left out: its processes take seconds each to start."""
    return {job.name: job for job in make_jobs(tmp_path_factory.mktemp("jobs"))}


@pytest.mark.parametrize("name", ["train, full_resolution", "bank"])
def test_killed_jobs_end_as_if_they_never_were(jobs, name, tmp_path):
    (row,) = kill_jobs([jobs[name]], tmp_path, seed=0, length=1, say=print)
    assert (row.tried, row.faults) == (1, ())


@pytest.mark.parametrize("name", ["train, full_resolution", "bank"])
def test_two_at_once(jobs, name, tmp_path):
    (row,) = run_together([jobs[name]], tmp_path, seed=0, length=1, say=print)
    assert row.faults == ()


@pytest.mark.parametrize(
    ("name", "mounts"), [("train, full_resolution", True), ("bank", True), ("bank", False)]
)
def test_full_disks(jobs, name, mounts, tmp_path, monkeypatch):
    if not mounts:
        monkeypatch.setattr(disk, "_mount", lambda *arguments: os.stat("/nowhere"))
    (row,) = disk.fill_disk([jobs[name]], tmp_path, seed=0, length=1, say=print)
    assert row.faults == ()


def _write_twice(folder):
    for name in ("a", "b"):
        (folder / f"{name}.new").write_text(name)
        os.replace(folder / f"{name}.new", folder / name)
    return 0


def test_a_job_that_leaves_something_behind_is_found(tmp_path):
    (row,) = kill_jobs([Job("leaves", _write_lazily)], tmp_path, seed=0, length=4, say=print)
    assert any("b is missing" in fault for fault in row.faults)


def _write_lazily(folder):
    """Takes what is there for the whole, so that a kill between both is never mended."""
    return 0 if (folder / "a").exists() else _write_twice(folder)


@pytest.mark.parametrize(
    ("number", "after", "left"), [(1, False, ["a.new"]), (2, True, ["a", "b"])]
)
def test_a_kill_at_a_rename(tmp_path, number, after, left):
    folder = tmp_path / "job"
    folder.mkdir()
    moment = Moment(event="replace", number=number, after=after)
    assert Started(_write_twice, folder, moment).end().status == -9
    assert sorted(content(folder)) == left
    assert Started(_write_twice, folder, log=tmp_path / "log").end().status == 0
    assert [*events_in(tmp_path / "log")] == [("main", EVENTS[0], 2)]


def test_differences_are_named():
    assert differences({"a": 1, "b": 2}, {"b": 3, "c": 4}) == [
        "a is missing",
        "b has other content",
        "c was left behind",
    ]


@pytest.fixture
def few_windows(monkeypatch):
    monkeypatch.setattr(steps, "_WINDOWS", 8)


@pytest.mark.usefixtures("few_windows")
@pytest.mark.parametrize("form", ["single", "bridge"])
def test_steps(form, monkeypatch):
    monkeypatch.setattr(steps, "_NUM_ENVS", 4)
    monkeypatch.setattr(steps, "MOST_RATIO", 20)  # of so few, on a machine that does other things
    row = steps._step("GlanceFocus-v0", form, 0, 160, print)
    assert row.faults == ()
    assert row.tried >= 40


def test_memory_and_time_that_grow_are_found(monkeypatch):
    clock, memory = itertools.accumulate(range(10**6)), itertools.count(0, 1 << 24)
    monkeypatch.setattr(steps.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(steps.gc, "collect", lambda: None)
    process = mock.Mock()
    process.memory_info.side_effect = lambda: mock.Mock(rss=next(memory))
    monkeypatch.setattr(steps.psutil, "Process", lambda: process)
    leak = steps.Run(lambda: None, 1, lambda: None)
    monkeypatch.setitem(steps.FORMS, "leak", lambda *a: leak)
    row = steps._step("GlanceFocus-v0", "leak", 0, 0, print)
    assert [fault.split()[0] for fault in row.faults] == ["memory", "a"]


def test_what_was_found_is_kept_by_suite_and_seed(tmp_path, monkeypatch):
    rows = [[], [run.Row("a", 3, ("it broke",))], [run.Row("a", 4)]]
    suite = run.Suite(lambda seed, length, say: rows.pop(), 5, "things")
    monkeypatch.setattr(run, "SUITES", {"other": suite, "first": suite})
    path = tmp_path / "found.json"
    arguments = ["--output", str(path), "--seed"]
    assert run.main(["first", *arguments, "1"]) == 0
    assert run.main(["first", *arguments, "1", "--length", "3"]) == 1
    assert run.main(["other", *arguments, "0"]) == 0
    found = run.json.loads(path.read_text())
    assert [(each["suite"], each["seed"], each["length"]) for each in found] == [
        ("other", 0, 5),
        ("first", 1, 3),
    ]
    assert found[1]["rows"][0]["faults"] == ["it broke"]


def test_of_suites_of_jobs_some_jobs_can_be_chosen(monkeypatch):
    jobs = [Job(name, lambda folder: 0) for name in ("bank", "cache")]
    monkeypatch.setattr(run, "make_jobs", lambda materials: jobs)
    suite = run._on_jobs(
        lambda jobs, place, seed, length, say: [run.Row(job.name, length) for job in jobs], 3, "x"
    )
    assert [row.what for row in suite.run(0, 3, print)] == ["bank", "cache"]
    assert [row.what for row in suite.run(0, 3, print, ["cache"])] == ["cache"]
    with pytest.raises(SystemExit, match=r"unknown jobs \['tank'\]; there are \['bank', 'cache'\]"):
        suite.run(0, 3, print, ["tank"])
