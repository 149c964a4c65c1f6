import json

import numpy as np
import pytest

from agents.benchmark.results import (
    DONE,
    FAILED,
    Metrics,
    Result,
    ResultsError,
    ResultsFolder,
    Training,
)


def row(key="k1", status=DONE, **changes):
    values = {
        "key": key,
        "policy": "mine",
        "setting": "usual",
        "seed": 0,
        "kind": "learner",
        "status": status,
        "reason": None,
        "spec": {"learner": "reinforce"},
        "task": {"split": "test"},
        "seconds": 1.5,
        "made": {"python": "3"},
        "deterministic": Metrics((0.5, 0.75), 0.25),
        "sampled": Metrics((0.5, 0.625), 0.125),
        "multiply_adds": (10, 30),
        "budgeted_area": 0.7,
        "training": Training(100, 1.0, ((50, 0.5, 0.1, 0.6), (100, 1.0, 0.2, 0.7))),
    }
    return Result(**{**values, **changes})


def test_rows_come_back_as_they_were(tmp_path):
    folder = ResultsFolder(tmp_path / "new")
    assert folder.read() == []
    failed = row(
        "k2",
        FAILED,
        reason="broke",
        deterministic=None,
        sampled=None,
        training=None,
        multiply_adds=(),
        budgeted_area=None,
    )
    folder.append(row())
    folder.append(failed)
    assert folder.read() == [row(), failed]


def test_the_newest_row_of_a_run_counts_and_the_others_stay(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.append(row(status=FAILED, reason="broke"))
    before = folder.file.read_bytes()
    folder.append(row())
    assert folder.file.read_bytes().startswith(before)
    assert folder.latest() == {"k1": row()}


@pytest.mark.parametrize("kept", [1, 20, 300])
def test_a_row_that_a_kill_cut_off_is_none(tmp_path, kept):
    folder = ResultsFolder(tmp_path)
    folder.append(row())
    whole = folder.file.read_bytes()
    folder.append(row("k2"))
    folder.file.write_bytes(folder.file.read_bytes()[: len(whole) + kept])
    assert [each.key for each in folder.read()] == ["k1"]
    folder.append(row("k3"))
    assert [each.key for each in folder.read()] == ["k1", "k3"]


def test_a_file_whose_first_line_was_cut_off(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.file.write_bytes(b'{"form')
    assert folder.read() == []
    folder.append(row())
    assert folder.read() == [row()]


def test_other_formats_are_refused(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.file.write_text(json.dumps({"format": "gf-env benchmark results 0"}) + "\n")
    with pytest.raises(ResultsError, match=r"results 1.*results 0"):
        folder.read()


def test_a_damaged_line_is_named(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.append(row())
    with folder.file.open("a") as file:
        file.write("{broken\n")
    with pytest.raises(ResultsError, match=r"line 3 of .*results.jsonl is damaged"):
        folder.read()


def test_arrays(tmp_path):
    folder = ResultsFolder(tmp_path)
    arrays = {"correct": np.eye(3, dtype=bool), "labels": np.arange(3)}
    folder.write_arrays("k1", arrays)
    found = folder.arrays("k1")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    with pytest.raises(ResultsError, match="run it again"):
        folder.arrays("k2")
    folder.arrays_path("k1").write_bytes(b"PK nonsense")
    with pytest.raises(ResultsError, match="run it again"):
        folder.arrays("k1")
