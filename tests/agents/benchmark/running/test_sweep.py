import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from filelock import FileLock

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.results import ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running import one_run, processes, sweep
from agents.benchmark.running.sweep import SweepConfig, check_same_task, run_all, runs_to_do
from agents.benchmark.suite import Curves, Entry, Setting, Suite
from agents.learners.plateau import Plateau
from gf_env.inference.budgets import CONFIDENCES
from gf_env.storage.files import FolderInUseError

CENTRE, RANDOM = (Entry(name, policy=name) for name in ("centre", "random"))


def suite_of(*entries, seeds=(0,)):
    return Suite("mine", "a test", seeds, (Setting("few", num_images=24),), entries)


def odd(name, **changes):
    return Entry(name, policy=f"tests.helpers.odd_policies:{name}", **changes)


def only_run(suite, folder):
    (run,) = suite.runs()
    return one_run.execute(run, folder, lambda line: None)


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "results")


def test_runs_that_go_wrong_are_marked_and_the_others_go_on(folder):
    names = ("CrashesLater", "EndsItsProcess", "Sideways")
    suite = suite_of(*map(odd, names), CENTRE)
    lines, statuses = [], {}

    def on_event(run, event):
        if isinstance(event, str):
            lines.append(f"{run.entry.name}: {event}")
        else:
            statuses[run.entry.name] = event.status

    run_all(suite, folder, SweepConfig(jobs=2), on_event)
    rows = {row.policy: row for row in folder.read()}
    expected = dict(zip((*names, "centre"), ("failed", "failed", "done", "done"), strict=True))
    assert statuses == {name: row.status for name, row in rows.items()} == expected
    assert {f"{name}: starts" for name in rows} < {*lines}
    assert "Sideways: evaluates" in lines
    assert "ZeroDivisionError: lost my way (odd_policies.py:" in rows["CrashesLater"].reason
    assert rows["EndsItsProcess"].reason == "its process ended with exit code 3"
    assert rows["Sideways"].deterministic.accuracy == rows["centre"].deterministic.accuracy
    assert runs_to_do(suite, folder.latest()) == []
    again = runs_to_do(suite, folder.latest(), retry=True)
    assert [run.entry.name for run in again] == list(names[:2])


def test_a_run_that_takes_too_long_has_failed(folder):
    run_all(suite_of(odd("NeverAnswers")), folder, SweepConfig(jobs=1, timeout=3))
    (row,) = folder.read()
    assert (row.status, row.reason) == ("failed", "took more than 3 s")
    assert row.seconds > 3


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("WrongShape", {}, r"shape \(24, 2\), got shape \(24, 1\)"),
        ("NotANumber", {}, "must not be NaN"),
        ("OutsideTheGrid", {"grid_size": 7}, r"must be in \[0, 49\)"),
    ],
)
def test_answers_that_cannot_be(folder, name, task, message):
    with pytest.raises(ValueError, match=message):
        only_run(suite_of(odd(name, task=task)), folder)


def test_what_is_done_is_not_done_again(folder):
    suite = suite_of(RANDOM, seeds=(0, 1))
    folder.append(only_run(dataclasses.replace(suite, seeds=(0,)), folder))
    assert [run.seed for run in runs_to_do(suite, folder.latest())] == [1]
    renamed = suite_of(Entry("by another name", policy="random"), seeds=(0, 1))
    assert [run.seed for run in runs_to_do(renamed, folder.latest())] == [1]


def test_a_row_has_what_the_policy_did(folder):
    row = only_run(suite_of(RANDOM, seeds=(4,)), folder)
    assert (row.status, row.training) == ("done", None)
    assert len(row.deterministic.accuracy) == len(row.multiply_adds) == 5
    arrays = folder.arrays(row)
    assert arrays["locations"].shape == (24, 4, 2)
    assert np.allclose(arrays["correct"].mean(0), row.deterministic.accuracy)
    assert row.task["images digest"] and row.made["torch"] and row.made["cpu"]


def test_what_a_policy_that_stops_has_spent(folder):
    """Of 20 images 4 each take 1 to 5 looks; all but the last 4 choose to stop."""
    task = {"look_cost": 0.5}
    stopping = Entry("stopping", policy="tests.helpers.policies:StopsEarly", task=task)
    suite = Suite("mine", "a test", (0,), (Setting("few", num_images=20),), (stopping, RANDOM))
    suite = dataclasses.replace(suite, curves=(Curves("early", ("stopping",), "random"),))
    row, other = (one_run.execute(run, folder, lambda line: None) for run in suite.runs())
    found = row.deterministic
    assert found.mean_looks == 3
    assert found.mean_return == pytest.approx(found.mean_gain - 2 * 0.5)
    assert row.multiply_adds[1] - row.multiply_adds[0] > 1000
    assert found.mean_multiply_adds == np.mean(row.multiply_adds) + 0.8 * 10
    assert row.exits is row.budgeted_area is None
    arrays = folder.arrays(row)
    assert arrays["looks"].tolist() == [1, 2, 3, 4, 5] * 4
    for each in (row, other):
        folder.append(each)
    assert folder.read() == [row, other]
    (curves,) = make_report(suite, folder).settings[0].curves
    assert curves.prices[0].mean_multiply_adds.estimate == found.mean_multiply_adds
    assert len(curves.areas) == 3


def test_what_images_cost_that_leave_once_the_network_is_sure(folder):
    row = only_run(suite_of(RANDOM), folder)
    found = row.deterministic
    assert (found.mean_looks, found.mean_multiply_adds) == (5, row.multiply_adds[-1])
    assert found.mean_gain == found.mean_return
    assert (len(row.exits.budgeted), len(row.exits.confident)) == (39, len(CONFIDENCES))
    for points in (row.exits.budgeted, row.exits.confident):
        settings, _, costs = zip(*points, strict=True)
        assert list(settings) == sorted(settings)
        assert row.multiply_adds[0] <= costs[0] < costs[-1] <= row.multiply_adds[-1]
    assert "looks" not in folder.arrays(row)
    folder.append(row)
    assert folder.read() == [row]


def test_upper_bounds_do_not_sample(folder):
    row = only_run(suite_of(Entry("planner", policy="planner")), folder)
    assert row.sampled == row.deterministic
    assert row.deterministic.accuracy[-1] > 0.8


@pytest.mark.parametrize(
    ("learner", "settings"),
    [
        ("paper-ppo", {"updates": 2, "num_envs": 16}),
        ("sb3-ppo", {"total_timesteps": 128, "num_envs": 8, "settings": {"batch_size": 32}}),
    ],
)
def test_same_seed_same_row_and_the_policy_is_kept(folder, tmp_path, learner, settings):
    suite = suite_of(Entry("learner", learner=learner, settings=settings), seeds=(3,))
    other = ResultsFolder(tmp_path / "other")
    first, second = only_run(suite, folder), only_run(suite, other)
    for name in ("deterministic", "sampled", "budgeted_area", "key"):
        assert getattr(first, name) == getattr(second, name)
    assert first.training.steps == second.training.steps > 0
    left, right = folder.arrays(first), other.arrays(second)
    assert all(np.array_equal(left[name], right[name]) for name in left)
    (kept,) = (folder.path / "policies").iterdir()
    (run,) = suite_of(Entry("kept", policy=str(kept)), seeds=(3,)).runs()
    again = one_run.execute(run, other, lambda line: None, trust_sb3=True)
    assert again.deterministic == first.deterministic


def test_a_learner_of_ones_own(folder):
    def learn(**settings):
        entry = Entry("own", learner="tests.helpers.odd_policies:learn", settings=settings)
        return only_run(suite_of(entry), folder).training

    training = learn(shift=0.5)
    assert (training.steps, training.curve[0][2]) == (100, 0.5)
    with pytest.raises(ValueError, match=r"cannot be called with.*'speed'"):
        learn(speed=1)


def test_a_feature_bank_is_built_once_and_before_the_runs(folder, monkeypatch):
    happened = []

    def build(**arguments):
        happened.append(f"a bank of {arguments['grid_size']} x {arguments['grid_size']}")
        raise ValueError("which the runs then say too")

    monkeypatch.setattr(sweep, "make_task", build)
    monkeypatch.setattr(processes.Pool, "do", lambda _, runs: happened.append(f"{len(runs)} runs"))
    tasks = {"reinforce": {"grid_size": 7}, "recurrent-ppo": {"grid_size": 7}, "paper-ppo": {}}
    entries = [Entry(name, learner=name, task=task) for name, task in tasks.items()]
    run_all(suite_of(*entries, seeds=(0, 1)), folder, SweepConfig())
    assert happened == ["a bank of 7 x 7", "6 runs"]


def test_so_is_the_bank_that_trainings_are_validated_on(folder, monkeypatch):
    made = []
    monkeypatch.setattr(sweep, "make_task", lambda **arguments: made.append(arguments["split"]))
    monkeypatch.setattr(processes.Pool, "do", lambda _, runs: None)
    entry = Entry("a", learner="reinforce", task={"grid_size": 7}, plateau=Plateau())
    run_all(suite_of(entry, seeds=(0, 1)), folder, SweepConfig())
    assert made == ["train", "validation"]


def test_results_of_another_version_are_refused(folder):
    suite = suite_of(CENTRE)
    row = only_run(suite, folder)
    check_same_task(suite.settings, [row])
    older = dataclasses.replace(row, task={**row.task, "images digest": "0123"})
    folder.append(older)
    with pytest.raises(ResultsError, match=r"'centre', seed 0.*images digest was 0123 and is now"):
        run_all(suite, folder, SweepConfig())
    elsewhere = dataclasses.replace(older, task={**older.task, "dataset": "other"})
    check_same_task(suite.settings, [elsewhere])


def test_two_at_once_in_a_folder_are_refused(folder):
    folder.path.mkdir()
    refused = pytest.raises(FolderInUseError, match="another process is running a benchmark in")
    with FileLock(folder.path / ".lock"), refused:
        run_all(suite_of(CENTRE), folder, SweepConfig())


SUITE = """\
description = "a test"
seeds = [0, 1, 2]
[[settings]]
name = "few"
num_images = 24
[[policies]]
name = "random"
"""


def start(tmp_path, folder, policy):
    """Return a process that runs a suite of a policy, given as lines of TOML, one run at a time."""
    file = tmp_path / "mine.toml"
    file.write_text(SUITE + policy)
    command = [sys.executable, "-m", "agents", "benchmark", str(file), "--jobs", "1"]
    return subprocess.Popen(
        [*command, "--output", str(folder.path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_until(condition, seconds=120.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def test_a_killed_suite_is_resumed(tmp_path, folder):
    """Killed after its first row; every run has one row in the end."""
    process = start(tmp_path, folder, "policy = 'random'")
    wait_until(lambda: folder.read() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = folder.file.read_bytes()
    assert 1 <= len(folder.read()) < 3
    suite = suite_of(RANDOM, seeds=(0, 1, 2))
    run_all(suite, folder, SweepConfig(jobs=2))
    assert folder.file.read_bytes().startswith(before)
    rows = folder.read()
    assert sorted((row.key, row.status) for row in rows) == sorted(
        (run.key, "done") for run in suite.runs()
    )


def test_the_runs_of_a_killed_suite_end_with_it(tmp_path, folder):
    """A run that nobody waits for would go on beside the same one of a suite that is resumed."""
    alive = tmp_path / "alive"
    process = start(
        tmp_path,
        folder,
        "policy = 'tests.helpers.odd_policies:NeverAnswersAndSaysSo'\n"
        f"settings = {{ file = '{alive}' }}",
    )
    wait_until(alive.exists)
    process.kill()
    process.wait()

    def ended():
        before = alive.stat().st_size
        time.sleep(1)
        return alive.stat().st_size == before

    wait_until(ended, 30)
