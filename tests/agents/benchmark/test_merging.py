import dataclasses
import hashlib
import itertools

import pytest
from filelock import FileLock

from agents.benchmark import merging
from agents.benchmark.merging import merge
from agents.benchmark.results import Metrics, ResultsError
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running.one_run import task_identity
from agents.benchmark.running.shards import Shard
from gf_env.storage.files import FolderInUseError
from tests.helpers.benchmark_rows import (
    MADE,
    OTHER,
    RANDOM,
    fill,
    level,
    make_arrays,
    make_row,
    make_suite,
)

SUITE = make_suite(seeds=(0, 1, 2))
RUNS = [*SUITE.runs()]
KEYS = [run.key for run in RUNS]
IDENTITY = task_identity(SUITE.settings[0])


def write(folder, run, last=0.7, *, arrays=None, weights=b"weights", **changes):
    """Write a run whole, as a sweep does."""
    policy = folder.policy_stem(run.key).with_suffix(".safetensors")
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_bytes(weights)
    arrays = make_arrays(0.4, (0.4 + last) / 2, last) if arrays is None else arrays
    stored = folder.write_arrays(run.key, arrays)
    folder.append(make_row(run, last, **{"arrays": stored, "task": IDENTITY, **changes}))


def content(path):
    """The files of a folder but locks, with a digest of each."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


@pytest.fixture
def folders(tmp_path):
    return [ResultsFolder(tmp_path / name) for name in ("first", "second", "third")]


@pytest.fixture
def into(tmp_path):
    return ResultsFolder(tmp_path / "merged")


def fill_shards(folders):
    for number, folder in enumerate(folders, 1):
        for run in Shard(number, len(folders)).runs(SUITE):
            write(folder, run, level(run), weights=run.key.encode())


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_shards_make_the_folder_of_one_machine(folders, into, tmp_path, order):
    """File by file, and rows are in the order of a single job."""
    fill_shards(folders)
    one = ResultsFolder(tmp_path / "one")
    fill_shards([one])
    before = [content(folder.path) for folder in folders]
    assert merge(SUITE, [folders[number] for number in order], into) == len(RUNS)
    assert content(into.path) == content(one.path)
    assert [content(folder.path) for folder in folders] == before
    assert merge(SUITE, folders, into) == 0
    assert content(into.path) == content(one.path)


@pytest.mark.parametrize("writes", range(9))
def test_a_merge_that_was_stopped_is_resumed(folders, into, tmp_path, monkeypatch, writes):
    """Each run is three writes: policy, arrays, row."""
    fill_shards(folders)
    whole = ResultsFolder(tmp_path / "whole")
    merge(SUITE, folders, whole)
    before = [content(folder.path) for folder in folders]
    left = itertools.count(writes, -1)

    def until_stopped(write):
        def stopping(*given):
            if next(left) == 0:
                raise KeyboardInterrupt
            write(*given)

        return stopping

    with monkeypatch.context() as patch:
        patch.setattr(merging, "write_atomically", until_stopped(merging.write_atomically))
        patch.setattr(ResultsFolder, "append", until_stopped(ResultsFolder.append))
        with pytest.raises(KeyboardInterrupt):
            merge(SUITE, folders, into)
    assert len(into.read()) == writes // 3
    for row in into.read():
        assert into.fault(row) is None
        assert into.arrays_path(row.key).exists()
        assert into.policy_stem(row.key).with_suffix(".safetensors").exists()
    assert merge(SUITE, folders, into) == len(RUNS) - writes // 3
    assert content(into.path) == content(whole.path)
    assert [content(folder.path) for folder in folders] == before


@pytest.mark.parametrize(
    "changes",
    [{}, {"seconds": 99.0}, {"made": {**MADE, "cpu": "another"}}, {"policy": "by another name"}],
)
def test_equal_runs_are_kept_once(folders, into, changes):
    write(folders[0], RUNS[0])
    write(folders[1], RUNS[0], **changes)
    assert merge(SUITE, folders[:2], into) == 1
    assert into.read() == folders[0].read()
    assert merge(SUITE, [folders[1]], into) == 0


def test_time_is_no_difference_of_trainings(folders, into):
    run = next(run for run in RUNS if run.entry.name == OTHER)
    write(folders[0], run)
    training = folders[0].read()[0].training
    slower = tuple((steps, 2 * seconds, *rest) for steps, seconds, *rest in training.curve)
    for folder, changes in zip(
        folders[1:], ({"seconds": 1.0, "curve": slower}, {"steps": 7}), strict=True
    ):
        write(folder, run, training=dataclasses.replace(training, **changes))
    assert merge(SUITE, folders[:2], into) == 1
    with pytest.raises(ResultsError, match=r"differ in training\.steps: 1000 in .* and 7 in "):
        merge(SUITE, folders, into)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"last": 0.8}, r"deterministic\.accuracy\[1\]: 0\.55 in .*first and 0\.6\d* in .*second"),
        ({"sampled": Metrics((0.4, 0.4, 0.7), 0.25)}, r"sampled\.accuracy\[2\]: 0\.6 .* and 0\.7 "),
        ({"budgeted_area": 0.1}, r"budgeted_area: 0\.6\d* in .* and 0\.1 in"),
        ({"multiply_adds": (100, 200)}, r"multiply_adds\[2\]: 300 in .* and nothing in"),
        (
            {"arrays": {**make_arrays(0.4, 0.55, 0.7), "labels": make_arrays(1)["indices"]}},
            r"its array 'labels' at 10: 0 in .* and 10 in",
        ),
    ],
)
def test_different_results_of_a_run_are_refused(folders, into, changes, message):
    write(folders[0], RUNS[0])
    write(folders[0], RUNS[1])
    write(folders[1], RUNS[0], **changes)
    before = [content(folder.path) for folder in folders]
    name = f"'{RUNS[0].entry.name}', seed 0, on 'digits' is in two folders that differ in "
    with pytest.raises(ResultsError, match=name + message):
        merge(SUITE, folders[:2], into)
    assert not into.path.exists()
    write(into, RUNS[0])
    held = content(into.path)
    with pytest.raises(ResultsError, match=r"merged and .* in .*second"):
        merge(SUITE, [folders[1]], into)
    assert content(into.path) == held
    assert [content(folder.path) for folder in folders] == before


def test_a_run_that_failed_gives_way_to_one_that_is_done(folders, into):
    failed = make_row(RUNS[0], 0.7, failed="out of memory", task=IDENTITY)
    folders[0].append(failed)
    merge(SUITE, [folders[0]], into)
    assert into.read() == [failed]
    write(folders[1], RUNS[0])
    merge(SUITE, folders[:2], into)
    assert [*into.latest().values()] == folders[1].read()
    assert merge(SUITE, folders[:2], into) == 0


def test_the_newest_row_of_a_folder_counts(folders, into):
    write(folders[0], RUNS[0], 0.6)
    write(folders[0], RUNS[0], 0.7)
    merge(SUITE, [folders[0]], into)
    assert into.read() == folders[0].read()[1:]


def test_files_come_from_the_folder_that_has_them(folders, into):
    for folder in folders[:2]:
        write(folder, RUNS[0])
    folders[0].arrays_path(RUNS[0].key).unlink()
    merge(SUITE, folders[:2], into)
    assert into.arrays(into.read()[0])["correct"].any()


def test_runs_of_other_suites_come_along(folders, into):
    larger = make_suite(seeds=(0, 1, 2, 7))
    others = [run for run in larger.runs() if run.key not in KEYS]
    for run in (*others, RUNS[0]):
        write(folders[0], run)
    assert merge(SUITE, [folders[0]], into) == len(others) + 1
    assert [row.key for row in into.read()] == [RUNS[0].key, *(run.key for run in others)]


def _cut(folder, run):
    path = folder.arrays_path(run.key)
    path.write_bytes(path.read_bytes()[:-30])


def _edit(folder, run):
    lines = folder.file.read_bytes().split(b"\n")
    edited = [line.replace(b"0.7", b"0.9") if run.key.encode() in line else line for line in lines]
    folder.file.write_bytes(b"\n".join(edited))


@pytest.mark.parametrize("damage", [_cut, _edit])
def test_damaged_runs_are_named_and_left_out(folders, into, caplog, damage):
    for run in RUNS[:2]:
        write(folders[0], run)
    damage(folders[0], RUNS[0])
    before = content(folders[0].path)
    assert merge(SUITE, [folders[0]], into) == 1
    assert [row.key for row in into.read()] == [RUNS[1].key]
    assert str(folders[0].path) in caplog.text
    assert content(folders[0].path) == before
    write(folders[1], RUNS[0])  # whole elsewhere
    assert merge(SUITE, folders[:2], into) == 1


@pytest.mark.parametrize("damage", [_cut, _edit])
def test_what_is_damaged_in_the_merged_folder_is_replaced(folders, into, damage):
    for run in RUNS[:2]:
        write(folders[0], run)
    merge(SUITE, [folders[0]], into)
    damage(into, RUNS[0])
    assert merge(SUITE, [folders[0]], into) == 1
    for key, row in folders[0].latest().items():
        assert into.latest()[key] == row
        assert into.fault(row) is None


@pytest.mark.parametrize("key", ["../../elsewhere", "/tmp/elsewhere", "", "a/b", "."])
def test_a_key_that_names_files_elsewhere_is_no_row(folders, into, key, caplog):
    write(folders[0], RUNS[0])
    folders[0].append(dataclasses.replace(folders[0].read()[0], key=key))
    assert merge(SUITE, [folders[0]], into) == 1
    assert "its key must be letters and digits" in caplog.text


def test_results_of_another_version_of_the_task_are_refused(folders, into):
    write(folders[0], RUNS[0])
    write(folders[1], RUNS[1], task={**IDENTITY, "images digest": "0123"})
    with pytest.raises(ResultsError, match="images digest was 0123 and is now"):
        merge(SUITE, folders[:2], into)
    assert not into.path.exists()


def test_what_is_no_source(folders, into, tmp_path):
    with pytest.raises(ValueError, match=r"expected a folder of results, found none at .*first"):
        merge(SUITE, folders, into)
    fill(into.path, SUITE, lambda run: 0.5 if run.entry.name == RANDOM else None)
    with pytest.raises(ValueError, match="cannot be merged into itself"):
        merge(SUITE, [ResultsFolder(into.path / ".." / "merged")], into)
    folders[0].path.mkdir()
    with FileLock(into.path / ".lock"), pytest.raises(FolderInUseError, match="merging results"):
        merge(SUITE, folders[:1], into)
