"""Rows and arrays come back as they were written, or are named as damaged and not used."""

import dataclasses
import json
import os

import numpy as np
import pytest

from agents.benchmark.results import ResultsError
from agents.benchmark.results_folder import ResultsFolder
from tests.helpers.benchmark_rows import make_arrays, make_row, make_suite
from tests.helpers.damage import flip, refuse_to_write

RUN = next(run for run in make_suite().runs() if run.entry.kind == "learner")


def row(key="k1", **changes):
    return make_row(RUN, 0.75, key=key, **changes)


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "new")


@pytest.fixture
def written(folder):
    """A folder with a row and its arrays."""
    arrays = folder.write_arrays("k1", make_arrays(0.4, 0.575, 0.75))
    folder.append(row(arrays=arrays))
    return folder


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
    assert folder.damaged() == []


def test_a_file_whose_first_line_was_cut_off(folder):
    folder.path.mkdir()
    folder.file.write_bytes(b'{"form')
    assert folder.read() == []
    folder.append(row())
    assert folder.read() == [row()]


def test_a_file_of_another_format(folder):
    folder.path.mkdir()
    folder.file.write_bytes(b'{"format": "gf-env benchmark results 0"}\n')
    with pytest.raises(ResultsError, match=r"results 2.*results 0"):
        folder.read()


def test_a_pipe_is_no_file_of_results(folder):
    folder.path.mkdir()
    os.mkfifo(folder.file)
    with pytest.raises(ResultsError, match=r"results\.jsonl cannot be read \(not a regular file"):
        folder.read()


def change_number(line):
    return line.replace(b"0.75", b"0.95", 1)


def without_checksum(line):
    described = json.loads(change_number(line))
    del described["checksum"]
    return json.dumps(described).encode()


DAMAGES = {
    "a figure that was edited": change_number,
    "edited, and no checksum": without_checksum,
    "a bit": flip(40),
    "no JSON": lambda line: b"{broken",
    "no object": lambda line: b"[1]",
    "nested deeply": lambda line: b"[" * 100_000,
    "nothing": lambda line: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_named_set_aside_and_not_used(folder, damage):
    for key in ("k1", "k2", "k3"):
        folder.append(row(key))
    first, *lines = folder.file.read_bytes().splitlines()
    lines[1] = bytes(DAMAGES[damage](lines[1]))
    folder.file.write_bytes(b"\n".join([first, *lines, b""]))
    assert [each.key for each in folder.read()] == ["k1", "k3"]
    (said,) = folder.damaged()
    assert said.startswith(f"line 3 of {folder.file} is damaged: ")
    folder.set_aside_damaged()
    assert folder.damaged() == []
    assert [each.key for each in folder.read()] == ["k1", "k3"]
    assert folder.damaged_file.read_bytes() == lines[1] + b"\n"


def test_every_bit_of_a_row_counts(folder):
    folder.append(row())
    first, line, _ = folder.file.read_bytes().split(b"\n")
    for place in range(0, len(line), 7):
        changed = bytes(flip(place)(line))
        folder.file.write_bytes(b"\n".join([first, *changed.split(b"\n"), b""]))
        assert row() not in folder.read() or changed.replace(b" ", b"") == line.replace(b" ", b"")


@pytest.mark.parametrize("field", ["seconds", "key", "new"])
def test_what_has_no_checksum_needs_all_fields(folder, field):
    """Of a newer version of the package, rows may have more."""
    folder.append(row())
    line = folder.file.read_bytes().split(b"\n")[1]
    described = json.loads(line)
    del described["checksum"]
    changed = {**described, "new": 1}
    if field in described:
        changed = {name: value for name, value in described.items() if name != field}
    old = b'{"format": "gf-env benchmark results 1"}'  # whose rows may have no checksum
    folder.file.write_bytes(b"\n".join([old, json.dumps(changed).encode(), b""]))
    assert folder.read() == ([row()] if field == "new" else [])
    assert len(folder.damaged()) == (field != "new")


def test_a_full_disk_names_the_file_and_keeps_the_rows(written, monkeypatch):
    monkeypatch.setattr(os, "fsync", refuse_to_write)
    with pytest.raises(OSError, match=r"No space left.*cannot write a row of .*results\.jsonl"):
        written.append(row("k2"))
    assert written.read()[0].key == "k1"


def test_arrays(written):
    (found,) = written.read()
    arrays, expected = written.arrays(found), make_arrays(0.4, 0.575, 0.75)
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(arrays[name], value) for name, value in expected.items())
    assert written.fault(found) is None


@pytest.mark.parametrize("with_digest", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"PK nonsense",
        {"correct": np.ones((10, 3), bool)},
        {"correct": np.ones((10, 3), np.int64)},
        {**make_arrays(0.4, 0.575, 0.75), "new": np.ones(200)},
        {**make_arrays(0.4, 0.575, 0.75), "labels": np.arange(7)},
        {"correct": np.zeros((1 << 24, 3), bool)},
    ],
    ids=["no archive", "other", "other type", "foreign", "other length", "huge"],
)
def test_arrays_that_are_not_the_rows(written, content, with_digest):
    if isinstance(content, bytes):
        written.arrays_path("k1").write_bytes(content)
    else:
        written.write_arrays("k1", content)
    (found,) = written.read()
    found = found if with_digest else dataclasses.replace(found, arrays=None)
    with pytest.raises(ResultsError, match="run it again"):
        written.arrays(found)
    assert "run it again" in written.fault(found)


def test_a_row_that_says_something_else_than_its_arrays(written):
    metrics = dataclasses.replace(row().deterministic, accuracy=(0.4, 0.575, 0.95))
    (found,) = written.read()
    edited = dataclasses.replace(found, deterministic=metrics)
    assert "the mean of 'correct'" in written.fault(edited)


def test_arrays_that_are_gone_are_no_fault_of_a_row(written):
    written.arrays_path("k1").unlink()
    (found,) = written.read()
    assert written.fault(found) is None
    with pytest.raises(ResultsError, match="run it again"):
        written.arrays(found)
