"""Plain files: whole or not at all, only real ones, and nothing left behind."""

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from gf_env.storage import files
from gf_env.storage.files import (
    PARTIAL_SUFFIX,
    FolderInUseError,
    check_regular,
    check_size,
    only_process,
    open_file,
    parse_json,
    read_file,
    write_atomically,
)
from tests.helpers.damage import refuse_to_write

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from gf_env.storage import files
def die(handle): os.kill(os.getpid(), signal.SIGKILL)
os.fsync = die
files.write_atomically(Path(sys.argv[1]), b"new")
"""


def partial_files(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(PARTIAL_SUFFIX)]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(partial_files(tmp_path)) == 1
    write_atomically(tmp_path / "other", b"new")
    assert partial_files(tmp_path) == []


def test_a_partial_file_in_use_stays(tmp_path):
    """While one writer is at work, another one writes to the same folder."""
    path = tmp_path / "file"
    with files._partial_file(path) as (file, partial):
        write_atomically(tmp_path / "other", b"other")
        assert [str(each) for each in partial_files(tmp_path)] == [partial]
        file.write(b"mine")
        file.flush()
        os.replace(partial, path)
    assert path.read_bytes() == b"mine"


def test_many_writers_of_one_file(tmp_path):
    path, contents = tmp_path / "file", [bytes([number]) * 5000 for number in range(8)]

    def write(content):
        for _ in range(20):
            write_atomically(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [b"old", None])
def test_a_full_disk(tmp_path, monkeypatch, before):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(os, "fsync", refuse_to_write)
    kept = "one before is still there" if before else "there is none yet"
    with pytest.raises(OSError, match=rf"No space left.*write 1,000 bytes; .*{kept}.*file"):
        write_atomically(path, bytes(1000))
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_only_files_are_read(tmp_path, make):
    make(tmp_path / "it")
    for ask in (read_file, lambda path: open_file(path).__enter__()):
        with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
            ask(tmp_path / "it")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999"])
def test_numbers_that_are_not_finite(text):
    parse_json(text)
    with pytest.raises(ValueError, match="must be finite"):
        parse_json(text, finite=True)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{", b"\xff", "1" * 5000])
def test_what_is_no_json(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_one_process_at_a_time_in_a_folder(tmp_path):
    below = tmp_path / "run" / "stage"
    below.mkdir(parents=True)
    left = below / f".last.abc{PARTIAL_SUFFIX}"
    left.write_bytes(b"left")
    with only_process(tmp_path / "run", "training"):
        assert not left.exists()
        with (
            pytest.raises(FolderInUseError, match=r"another process is training in .*run; let it"),
            only_process(tmp_path / "run", "training"),
        ):
            pass
    with only_process(tmp_path / "run", "training"):
        pass


def test_a_file_of_any_size_is_not_read_whole(tmp_path):
    path = tmp_path / "hole"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than 512 MiB"):
        read_file(path)


def test_only_files_are_in_a_folder(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"")
    check_regular(tmp_path)
    check_regular(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "below" / "pipe")
    with pytest.raises(OSError, match=r"not a regular file.*pipe"):
        check_regular(tmp_path)


@pytest.mark.parametrize(("size", "refused"), [(None, False), (1, False), (1 << 40, True)])
def test_a_file_may_have_a_size(tmp_path, size, refused):
    if size is not None:
        (tmp_path / "file").touch()
        os.truncate(tmp_path / "file", size)
    with pytest.raises(OSError, match="larger than") if refused else contextlib.nullcontext():
        check_size(tmp_path / "file")
