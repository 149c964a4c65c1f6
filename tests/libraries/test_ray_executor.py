"""Runs of a benchmark on a real Ray: the rows of local processes and shards, whatever is lost."""

import dataclasses

import pytest

from agents.benchmark.merging import merge
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.shards import Shard
from agents.benchmark.running.sweep import SweepConfig, run_all
from agents.benchmark.suite import Entry, Setting, Suite

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.feature(
    "Ray", "ray", "`gf-env benchmark --executor ray`: a machine lost, runs that fail, no room"
)


def suite_of(*entries, seeds=(0, 1)):
    return Suite("mine", "a test", seeds, (Setting("few", num_images=24),), entries)


def odd(name, **settings):
    return Entry(name, policy=f"tests.helpers.odd_policies:{name}", settings=settings)


RANDOM = Entry("random", policy="random")
LEARNER = Entry("learner", learner="paper-ppo", settings={"updates": 2, "num_envs": 16})


@pytest.fixture
def two_machines(monkeypatch):
    """A cluster of two machines with room for a run each, both of them this one."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster, machines
    cluster.shutdown()


def rows(folder):
    """What must be equal to the last digit: all of a row but times, and what it was made with."""
    kept = {}
    for row in folder.read():
        training = row.training and dataclasses.replace(row.training, seconds=0, curve=())
        kept[row.key] = dataclasses.replace(row, seconds=0, made={}, training=training)
    return kept


def curves(folder):
    """Learning curves without their second column, which is of seconds."""
    return {
        row.key: [(step, *rest) for step, _, *rest in row.training.curve]
        for row in folder.read()
        if row.training
    }


def test_a_machine_is_lost_in_the_middle(two_machines, tmp_path, record_property):
    """Its run is done again on the other one; all rows are those of local processes and shards."""
    cluster, machines = two_machines
    gone = tmp_path / "a machine is gone"
    suite = suite_of(odd("WaitsForALoss", gone=str(gone)), RANDOM, LEARNER)
    folders = {
        name: ResultsFolder(tmp_path / name) for name in ("ray", "local", "merged", "1", "2")
    }
    evaluating = []

    def on_event(run, event):
        if event == "evaluates" and run.entry.name == "WaitsForALoss":
            evaluating.append(run.seed)
            if len(evaluating) == 2:  # one on each machine
                cluster.remove_node(machines.pop(), allow_graceful=False)
                gone.touch()

    run_all(suite, folders["ray"], SweepConfig(executor="ray"), on_event)
    assert len(evaluating) == 3  # one of the two again
    run_all(suite, folders["local"], SweepConfig(jobs=1))
    shards = [Shard(number, 2) for number in (1, 2)]
    for shard in shards:
        run_all(suite, folders[str(shard.number)], SweepConfig(jobs=1), shard=shard)
    merge(suite, [folders["1"], folders["2"]], folders["merged"])
    assert rows(folders["ray"]) == rows(folders["local"]) == rows(folders["merged"])
    assert curves(folders["ray"]) == curves(folders["local"]) == curves(folders["merged"])
    assert len(rows(folders["ray"])) == 6
    assert all(row.status == "done" for row in folders["ray"].read())
    found, expected = (
        sorted(p.relative_to(folder.path) for p in folder.path.rglob("*.[ns][pa]*"))
        for folder in (folders["ray"], folders["local"])
    )
    assert found == expected
    assert len(found) == 8  # arrays of each, and two trained policies
    record_property("result", "two machines, one lost: rows of local runs and of merged shards")


def test_runs_that_go_wrong_on_a_ray_that_is_begun_here(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    folder = ResultsFolder(tmp_path / "results")
    suite = suite_of(odd("CrashesLater"), odd("EndsItsProcess"), RANDOM, seeds=(0,))
    run_all(suite, folder, SweepConfig(executor="ray"))
    by_name = {row.policy: row for row in folder.read()}
    assert "ZeroDivisionError: lost my way (odd_policies.py:" in by_name["CrashesLater"].reason
    assert "its worker was lost, 3 retries included" in by_name["EndsItsProcess"].reason
    assert by_name["random"].status == "done"
    assert not ray.is_initialized()
    before = folder.file.read_bytes()  # nothing is left to do, so Ray has nothing to do
    run_all(suite, folder, SweepConfig(executor="ray"))
    assert folder.file.read_bytes() == before
    slow = suite_of(odd("NeverAnswers"), seeds=(0,))
    run_all(slow, folder, SweepConfig(executor="ray", timeout=3))
    row = folder.latest()[next(slow.runs()).key]
    assert (row.status, row.reason) == ("failed", "took more than 3 s")


def test_what_no_machine_has(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = SweepConfig(executor="ray", gpus_per_run=1000)
    with pytest.raises(ValueError, match="no machine has the 1 CPUs and 1000 GPUs"):
        run_all(suite_of(RANDOM), ResultsFolder(tmp_path / "results"), config)
    assert not ray.is_initialized()
