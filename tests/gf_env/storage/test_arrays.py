import dataclasses
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from gf_env.storage import arrays
from gf_env.storage.arrays import ArrayFile, cached_array, check_same
from gf_env.storage.tensors import TensorFileError
from tests.helpers.damage import change, flip, refuse_to_write, stopped_at_every_step
from tests.helpers.paths import ROOT

HEADER = 128
VALUES = np.arange(42).reshape(7, 2, 3).astype(np.float16)
NOTES = {
    "about": {"what": "noise", "size": 3},
    "shape": [7, 2, 3],
    "checksums": ["ccc869aa", "bd1893bd", "2b144482"],
    "checksum": "fea441c9",
}
"""As they have always been: banks on disk have them."""


@pytest.fixture
def file(tmp_path):
    """Seven rows of 12 bytes, in pieces of three, three and one."""
    path = tmp_path / "folder" / "a.npy"
    return ArrayFile(path, VALUES.shape, np.float16, {"what": "noise", "size": 3}, 40)


def write(file, count=3):
    """Write what is missing of the first `count` pieces."""
    for rows in file.missing_pieces():
        if rows in file.pieces[:count]:
            file.write(rows, VALUES[rows])


def test_pieces_are_all_rows_in_order(file):
    assert file.pieces == [range(0, 3), range(3, 6), range(6, 7)]
    assert file.num_bytes == VALUES.nbytes
    small = dataclasses.replace(file, piece_bytes=5)  # less than a row
    assert small.pieces == [range(row, row + 1) for row in range(7)]


def test_what_is_read_is_what_was_written(file):
    write(file)
    assert np.array_equal(np.load(file.path), VALUES)  # an ordinary file of NumPy's
    assert json.loads(file.notes_path.read_text()) == NOTES
    for _ in range(2):
        array = file.read()
        assert np.array_equal(array, VALUES)
        array[:] = 0  # it belongs to the reader


def test_a_piece_is_on_the_disk_before_the_notes_say_so(file, monkeypatch):
    """A machine that loses power must not have notes of what it has not."""
    happened = []

    def sync(handle):
        happened.append(os.fstat(handle).st_ino)

    def replace(partial, path, replace=os.replace):
        happened.append(path)
        replace(partial, path)

    write(file, count=1)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    file.write(file.pieces[1], VALUES[3:6])
    values, notes = file.path.stat().st_ino, file.notes_path.stat().st_ino
    assert happened == [values, notes, file.notes_path]


def test_every_byte_is_checked_once_while_the_file_is_the_same(file, monkeypatch):
    write(file)
    file.read()
    with monkeypatch.context() as patch:
        patch.setattr(arrays, "ThreadPoolExecutor", lambda *_: pytest.fail("checked again"))
        assert np.array_equal(file.read(), VALUES)
    change(file.path, flip(-1))
    with pytest.raises(TensorFileError, match=r"a\.npy does not match its checksums; build it"):
        file.read()


@pytest.mark.parametrize("notes", [False, True])
def test_nothing_there(file, notes):
    if notes:
        write(file)
        file.path.unlink()
    assert file.rows_written() == 7 * notes
    assert file.missing_pieces() == file.pieces
    with pytest.raises(TensorFileError, match=r"there is no .*a\.npy with its a\.json; build it"):
        file.read()


def test_a_stopped_build_is_resumed(file):
    write(file, 2)
    assert file.rows_written() == 6
    with pytest.raises(TensorFileError, match="incomplete: it has 2 of 3 pieces; resume"):
        file.read()
    assert file.missing_pieces() == file.pieces[2:]
    write(file)
    assert np.array_equal(file.read(), VALUES)


STEPS = [(arrays, "open_memmap"), (os, "fsync"), (os, "replace")]


def test_a_build_that_is_stopped_anywhere_is_resumed(file, tmp_path):
    def numbered(number):
        return dataclasses.replace(file, path=tmp_path / f"{number}.npy")

    write(file)
    for allowed in stopped_at_every_step(STEPS, lambda number: write(numbered(number))):
        write(numbered(allowed))
        assert numbered(allowed).path.read_bytes() == file.path.read_bytes()
        assert numbered(allowed).notes_path.read_bytes() == file.notes_path.read_bytes()
    assert allowed == 11  # of 2 for empty notes, 1 for the file, and 3 for each piece


def test_a_full_disk(file, monkeypatch):
    write(file, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse_to_write)
        with pytest.raises(OSError, match="No space left"):
            write(file)
    assert file.rows_written() == 3


@pytest.mark.parametrize(
    ("edit", "sound"),
    [
        (flip(-1), 2),
        (flip(-20), 1),  # row 5
        (flip(-80), 0),  # row 0
        (lambda content: content[: HEADER + 5 * 12], 1),
        (lambda content: content[:70], 0),
        (lambda content: b"", 0),
        (lambda content: content.replace(b"<f2", b"<i2"), 0),
    ],
)
def test_damaged_values(file, edit, sound):
    write(file)
    whole = file.path.read_bytes()
    change(file.path, edit)
    with pytest.raises(TensorFileError, match="does not match its checksums"):
        file.read()
    assert file.missing_pieces() == file.pieces[sound:]
    write(file)
    assert np.array_equal(file.read(), VALUES)
    assert file.path.read_bytes() == whole


def test_nothing_is_left_of_a_longer_file(file):
    write(file)
    whole = file.path.read_bytes()
    change(file.path, lambda content: content + b"more")
    assert file.missing_pieces() == []
    change(file.path, flip(HEADER))
    write(file)
    assert file.path.read_bytes() == whole


def test_a_header_that_is_damaged_anywhere(file):
    write(file)
    for position in range(HEADER):
        change(file.path, flip(position))
        assert file.missing_pieces() in (file.pieces, [])  # [] where it still says the same
        change(file.path, flip(position))
    assert np.array_equal(file.read(), VALUES)


def notes_with(**changes):
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


def everything(file):
    """All that looks at a file; each must refuse one that is not ours."""
    return (
        file.read,
        file.rows_written,
        file.missing_pieces,
        lambda: file.write(file.pieces[0], VALUES[:3]),
    )


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content[:50],
        lambda content: b"",
        lambda content: b"[1, 2]",
        lambda content: b'{"lr": 0.1}',
        lambda content: b"\xff" + content[1:],
        flip(0),
        notes_with(about={"what": "signal", "size": 3}),
        notes_with(about=3),
        notes_with(checksums=["00000000"] * 3),
        notes_with(shape=[7, 3, 2]),
    ],
)
def test_damaged_notes(file, edit):
    write(file)
    change(file.notes_path, edit)
    for use in everything(file):
        with pytest.raises(TensorFileError, match=r"a\.json is damaged.* or delete both"):
            use()


def test_a_file_of_somebody_elses_is_not_written_over(file):
    file.path.parent.mkdir()
    np.save(file.path, np.arange(3))
    for use in everything(file):
        with pytest.raises(TensorFileError, match=r"without its a\.json; choose another path"):
            use()
    assert np.array_equal(np.load(file.path), np.arange(3))


def test_about_something_else(file):
    write(file)
    other = dataclasses.replace(file, about={"what": "signal", "size": 3}, shape=(7, 3, 2))
    message = r"has shape \[7, 2, 3\] instead of \[7, 3, 2\]; what 'noise' instead of 'signal'$"
    for use in everything(other):
        with pytest.raises(TensorFileError, match=message):
            use()


def test_lists_and_tuples_are_the_same():
    check_same({"a": (1, 2), "b": None}, {"a": [1, 2], "b": None}, "it")
    with pytest.raises(TensorFileError, match=r"^it has a 1 instead of None$"):
        check_same({}, {"a": 1}, "it")


ROWS = np.arange(21, dtype=np.uint8).reshape(7, 3)


@pytest.fixture
def folder(own_cache, monkeypatch):
    """The cache folder; seven rows of 3 bytes are in pieces of three, three and one."""
    monkeypatch.setattr(arrays, "_CACHE_PIECE_BYTES", 9)
    return own_cache


def cached(make=lambda rows: ROWS[rows]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return cached_array("a", (7, 3), make)


def never(rows):
    pytest.fail("made again")


def test_a_cached_array_is_made_once(folder):
    assert np.array_equal(cached(), ROWS)
    assert np.array_equal(cached(never), ROWS)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.npy", "a.npy.lock"]


@pytest.mark.parametrize("name", ["a.npy", "a.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: change(path, lambda content: content[:-9]),
        lambda path: change(path, lambda content: b"something else"),
        lambda path: change(path, flip(-1)),
    ],
)
def test_a_damaged_cache_is_made_again_silently(folder, name, damage):
    cached()
    damage(folder / name)
    assert np.array_equal(cached(), ROWS)
    assert np.array_equal(cached(never), ROWS)


def test_a_cache_of_the_older_form_is_made_again(folder):
    folder.mkdir()
    np.save(folder / "a.npy", ROWS)
    (folder / "a.crc32").write_text("00000000\n")
    mapped = np.load(folder / "a.npy", mmap_mode="c")
    assert np.array_equal(cached(lambda rows: ROWS[rows] + 1), ROWS + 1)
    assert not (folder / "a.crc32").exists()
    assert np.array_equal(mapped, ROWS)  # whoever uses it keeps it


def test_a_cache_that_is_stopped_anywhere_is_seen_whole_or_not_at_all(folder):
    def make(number):
        return cached_array(f"{number}", (7, 3), lambda rows: ROWS[rows])

    for allowed in stopped_at_every_step(STEPS, make):
        path = folder / f"{allowed}.npy"
        assert path.exists() == (allowed > 12)
        if path.exists():
            assert np.array_equal(np.load(path), ROWS)
        assert np.array_equal(make(allowed), ROWS)
    assert allowed == 14  # 12 for the pieces, 2 to move the files, 1 to map them
    assert not list(folder.glob("*partial*"))


def test_what_a_killed_process_left_is_removed(folder):
    folder.mkdir()
    for name in ("a.partial.npy", "a.partial.json"):
        (folder / name).write_text("half of something")
    assert np.array_equal(cached(), ROWS)
    assert not list(folder.glob("*partial*"))


@pytest.mark.parametrize("at", ["the folder", "the first byte", "the very end"])
def test_a_cache_that_cannot_be_written_is_done_without(folder, monkeypatch, at):
    if at == "the folder":
        folder.write_text("a file where the folder should be")
    elif at == "the first byte":
        monkeypatch.setattr(os, "fsync", refuse_to_write)
    else:
        monkeypatch.setattr(ArrayFile, "replace", refuse_to_write)
    with pytest.warns(UserWarning, match="cannot cache in .*GF_ENV_CACHE"):
        array = cached_array("a", (7, 3), lambda rows: ROWS[rows])
    assert np.array_equal(array, ROWS)
    assert not list(folder.glob("*partial*"))


MAKE = """
import numpy as np
from gf_env.storage import arrays

def make(rows):
    print(len(rows))
    return np.full((len(rows), 3), 7, np.uint8)

arrays._CACHE_PIECE_BYTES = 9
print("ready", flush=True)
print(arrays.cached_array("a", (7, 3), make).sum())
"""


def test_two_processes_make_one_cache(folder, file):
    command = [sys.executable, "-c", MAKE]
    with dataclasses.replace(file, path=folder / "a.npy").exclusive():
        how = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True}
        makers = [subprocess.Popen(command, **how) for _ in range(2)]
        for maker in makers:
            assert maker.stdout.readline() == "ready\n"
    printed = [maker.communicate(timeout=60)[0].split() for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    # one made all pieces, the other none
    assert sorted(printed, key=len) == [["147"], ["3", "3", "1", "147"]]
