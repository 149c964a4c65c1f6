import dataclasses

import pytest

from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.shards import SHARDS, Shard, run_keys
from agents.benchmark.running.sweep import runs_to_do, shards_to_do
from agents.benchmark.suite import Entry
from tests.helpers.benchmark_rows import fill, make_row, make_suite

SUITE = make_suite(settings=("digits", "more digits"))


@pytest.mark.parametrize("count", range(1, 8))
def test_every_run_is_in_one_shard(count):
    shards = [[*Shard(number, count).runs(SUITE)] for number in range(1, count + 1)]
    every = [*SUITE.runs()]
    assert sorted(run.key for runs in shards for run in runs) == sorted(run.key for run in every)
    lengths = [len(runs) for runs in shards]
    assert max(lengths) - min(lengths) <= 1
    for runs in shards:  # in the suite's order
        assert runs == [run for run in every if run in runs]
        assert runs == runs_to_do(SUITE, {}, shard=Shard(1 + shards.index(runs), count))


@pytest.mark.parametrize("count", range(2, 8))
def test_seeds_of_a_policy_are_spread(count):
    found = {}
    for number in range(1, count + 1):
        for run in Shard(number, count).runs(SUITE):
            found.setdefault((run.entry.name, run.setting.name), []).append(number)
    for shards in found.values():
        assert len({*shards}) == min(count, len(shards))


def test_equal_runs_are_in_the_same_shard():
    """As they are one run for a folder of results, whatever they are called."""
    entries = (*SUITE.entries, Entry("as random", policy="random"))
    suite = dataclasses.replace(SUITE, entries=entries)
    assert len(run_keys(suite)) == len([*SUITE.runs()]) < len([*suite.runs()])
    for number in range(1, 5):
        runs = [*Shard(number, 4).runs(suite)]
        names = {
            name: {r.key for r in runs if r.entry.name == name} for name in ("random", "as random")
        }
        assert names["random"] == names["as random"]


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1/0", "-1/3", "1", "1/", "a/b", "1/3/5", "", "1.0/2", "²/3"]
)
def test_what_is_no_shard(text):
    with pytest.raises(ValueError, match=r"shard"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert Shard.parse("2/5") == Shard(2, 5)
    assert str(Shard(2, 5)) == "2/5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    # these rows are of no images
    monkeypatch.setattr("agents.benchmark.running.sweep.check_same_task", lambda *given: None)
    return ResultsFolder(tmp_path / "results")


def test_shards_with_all_rows_are_not_to_be_done(folder):
    every = [*SUITE.runs()]
    assert shards_to_do(SUITE, folder) == [Shard(n, len(every)) for n in range(1, len(every) + 1)]
    second = {run.key for run in Shard(2, 4).runs(SUITE)}
    third = {run.key for run in Shard(3, 4).runs(SUITE)}
    fill(folder.path, SUITE, lambda run: 0.5 if run.key in second else None)
    part = folder.path / SHARDS / "3-of-4"
    fill(part, SUITE, lambda run: 0.5 if run.key in third else None)
    assert shards_to_do(SUITE, folder, 4) == [Shard(1, 4), Shard(4, 4)]
    assert len(shards_to_do(SUITE, folder)) == len(every) - len(second) - len(third)
    assert {run.key for shard in shards_to_do(SUITE, folder) for run in shard.runs(SUITE)} == {
        run.key for run in every
    } - second - third


def test_a_run_that_failed_is_to_be_done_only_to_retry(folder):
    run, other, *_ = SUITE.runs()
    folder.append(make_row(run, 0.5, failed="lost its way"))
    folder.append(make_row(other, 0.5, failed="lost its way"))
    again = ResultsFolder(folder.path / SHARDS / "again")
    again.append(make_row(other, 0.5))
    count = len(run_keys(SUITE))
    assert len(shards_to_do(SUITE, folder)) == count - 2
    assert len(shards_to_do(SUITE, folder, retry=True)) == count - 1


def test_a_damaged_row_is_to_be_done_and_stays_for_the_run(folder, caplog):
    run, *_ = SUITE.runs()
    folder.append(make_row(run, 0.5))
    damaged = folder.file.read_bytes().replace(b"0.5", b"0.6", 1)
    folder.file.write_bytes(damaged)
    assert len(shards_to_do(SUITE, folder)) == len(run_keys(SUITE))
    assert "line 2 of" in caplog.text
    assert [path.name for path in folder.path.iterdir()] == ["results.jsonl"]
    assert folder.file.read_bytes() == damaged
