import numpy as np
import pytest

from agents.benchmark.results import ResultsError, ResultsFolder
from tests.helpers.benchmark_rows import make_row, make_suite

RUN = next(run for run in make_suite().runs() if run.entry.kind == "learner")


def row(key="k1", **changes):
    return make_row(RUN, 0.75, key=key, **changes)


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "new")


def test_rows_come_back_as_they_were(folder):
    assert folder.read() == []
    failed = row("k2", failed="broke")
    folder.append(row())
    folder.append(failed)
    assert folder.read() == [row(), failed]


def test_the_newest_row_of_a_run_counts_and_the_others_stay(folder):
    folder.append(row(failed="broke"))
    before = folder.file.read_bytes()
    folder.append(row())
    assert folder.file.read_bytes().startswith(before)
    assert folder.latest() == {"k1": row()}


@pytest.mark.parametrize("kept", [1, 20, 300])
def test_a_row_that_a_kill_cut_off_is_none(folder, kept):
    folder.append(row())
    whole = folder.file.read_bytes()
    folder.append(row("k2"))
    folder.file.write_bytes(folder.file.read_bytes()[: len(whole) + kept])
    assert [each.key for each in folder.read()] == ["k1"]
    folder.append(row("k3"))
    assert [each.key for each in folder.read()] == ["k1", "k3"]


def test_a_file_whose_first_line_was_cut_off(folder):
    folder.path.mkdir()
    folder.file.write_bytes(b'{"form')
    assert folder.read() == []
    folder.append(row())
    assert folder.read() == [row()]


@pytest.mark.parametrize(
    ("kept", "written", "message"),
    [
        (0, b'{"format": "gf-env benchmark results 0"}\n', r"results 1.*results 0"),
        (None, b"{broken\n", r"line 3 of .*results.jsonl is damaged"),
    ],
)
def test_files_that_cannot_be(folder, kept, written, message):
    folder.append(row())
    folder.file.write_bytes(folder.file.read_bytes()[:kept] + written)
    with pytest.raises(ResultsError, match=message):
        folder.read()


def test_arrays(folder):
    arrays = {"correct": np.eye(3, dtype=bool), "labels": np.arange(3)}
    folder.write_arrays("k1", arrays)
    found = folder.arrays("k1")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    folder.arrays_path("k1").write_bytes(b"PK nonsense")
    for key in ("k1", "k2"):
        with pytest.raises(ResultsError, match="run it again"):
            folder.arrays(key)
