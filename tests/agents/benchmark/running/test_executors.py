import sys

import pytest

from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running import executors
from agents.benchmark.running.executors import EXECUTORS, Work, make_executor
from agents.benchmark.running.one_run import execute_safely
from agents.benchmark.running.sweep import SweepConfig, run_all
from agents.benchmark.suite import Entry, Setting, Suite

SUITE = Suite(
    name="mine",
    description="a test",
    seeds=(0, 1),
    settings=(Setting("few", num_images=24),),
    entries=(Entry("random", policy="random"),),
)


class InThisProcess:
    """The least there can be: a further executor for the table."""

    def __init__(self, work):
        self.work = work

    def do(self, waiting):
        while waiting:
            run = waiting.popleft()
            self.work.end(run, execute_safely(run, self.work.folder, lambda line: None))


def figures(folder):
    return {row.key: (row.deterministic, row.sampled, row.arrays) for row in folder.read()}


def test_a_further_executor_is_a_class_and_a_line(tmp_path, monkeypatch):
    monkeypatch.setitem(executors.EXECUTORS, "here", f"{__name__}:InThisProcess")
    here, local = (ResultsFolder(tmp_path / name) for name in ("here", "local"))
    ended = []
    run_all(SUITE, here, SweepConfig(executor="here"), lambda run, event: ended.append(run.seed))
    run_all(SUITE, local, SweepConfig(jobs=1))
    assert ended == [0, 1]
    assert figures(here) == figures(local)
    assert len(figures(here)) == 2


def test_an_executor_that_does_not_exist():
    with pytest.raises(ValueError, match=r"unknown executor 'magic'; there are .*'local'"):
        SweepConfig(executor="magic")


@pytest.mark.parametrize("name", EXECUTORS)
def test_each_is_made_of_its_work(name, tmp_path):
    if name == "ray":
        pytest.importorskip("ray")
    work = Work(ResultsFolder(tmp_path), 1, None, lambda run, event: None)
    assert callable(make_executor(name, work).do)


def test_what_an_executor_needs_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(executors.EXECUTORS, "magic", "no_such_engine:Pool")
    folder = ResultsFolder(tmp_path / "results")
    with pytest.raises(ValueError, match="cannot import 'no_such_engine'"):
        run_all(SUITE, folder, SweepConfig(executor="magic"))
    assert not folder.path.exists()


def test_ray_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "agents.benchmark.running.ray_cluster", raising=False)
    folder = ResultsFolder(tmp_path / "results")
    with pytest.raises(ValueError, match=r"the executor 'ray' needs Ray .* pip install ray"):
        run_all(SUITE, folder, SweepConfig(executor="ray"))
    assert not folder.path.exists()


@pytest.mark.parametrize("reserved", [{"cpus_per_run": 2}, {"gpus_per_run": 1}])
def test_local_runs_reserve_nothing(reserved):
    assert SweepConfig(executor="ray", **reserved)
    with pytest.raises(ValueError, match="reserved by the executor 'ray'"):
        SweepConfig(**reserved)
