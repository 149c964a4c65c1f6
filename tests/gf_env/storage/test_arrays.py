import json
import os

import numpy as np
import pytest

from gf_env.storage.chunked_file import ChunkedFile, check_same
from gf_env.storage.tensors import TensorFileError

VALUES = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float16)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Seven rows of 12 bytes, in pieces of three, three and one."""
    monkeypatch.setattr("gf_env.storage.chunked_file._CHUNK_BYTES", 40)
    return ChunkedFile(tmp_path / "folder" / "a.npy", {"what": "noise", "size": 3}, VALUES.shape)


def write(file, count):
    """Write the first `count` pieces."""
    checksums = file.checksums()
    for number in range(len(checksums), count):
        file.write(number, VALUES[file.chunks[number]], checksums)


def change(path, edit):
    """Edit a file's bytes; the clock may be too coarse to show that it changed."""
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def flip_last(content):
    content[-1] ^= 1


def halve(content):
    del content[len(content) // 2 :]


def test_pieces_are_all_rows_in_order(file):
    assert file.chunks == [range(0, 3), range(3, 6), range(6, 7)]
    assert file.num_bytes == VALUES.nbytes


def test_a_row_larger_than_a_piece_is_a_piece(file, monkeypatch):
    monkeypatch.setattr("gf_env.storage.chunked_file._CHUNK_BYTES", 5)
    assert file.chunks == [range(row, row + 1) for row in range(7)]


def test_what_is_read_is_what_was_written(file):
    write(file, 3)
    assert np.array_equal(file.read(), VALUES)
    assert np.array_equal(np.load(file.path), VALUES)  # an ordinary file of NumPy's
    notes = json.loads(file.path.with_suffix(".json").read_text())
    assert notes["about"] == file.about
    assert len(notes["checksums"]) == 3


def test_what_is_read_belongs_to_the_reader(file):
    write(file, 3)
    file.read()[:] = 0
    assert np.array_equal(file.read(), VALUES)


def test_every_byte_is_checked_once_while_the_file_is_the_same(file, monkeypatch):
    write(file, 3)
    file.read()
    with monkeypatch.context() as patch:
        patch.setattr(ChunkedFile, "_read_checksum", lambda *_: pytest.fail("read again"))
        assert np.array_equal(file.read(), VALUES)
    change(file.path, flip_last)
    with pytest.raises(TensorFileError, match=r"a\.npy does not match its checksums; build it"):
        file.read()


def test_nothing_there(file):
    assert file.checksums() == []
    with pytest.raises(TensorFileError, match=r"there is no .*a\.npy with its a\.json; build it"):
        file.read()


def test_not_whole(file):
    write(file, 2)
    assert len(file.checksums()) == 2
    with pytest.raises(TensorFileError, match="not whole: it has 2 of 3 pieces; go on"):
        file.read()
    write(file, 3)
    assert np.array_equal(file.read(), VALUES)


@pytest.mark.parametrize("edit", [flip_last, halve, lambda content: content.clear()])
def test_damaged_values(file, edit):
    write(file, 3)
    change(file.path, edit)
    with pytest.raises(TensorFileError, match="does not match its checksums"):
        file.read()


def test_values_of_another_type(file):
    write(file, 3)
    np.save(file.path, VALUES.astype(np.float32))
    with pytest.raises(TensorFileError, match="does not match its checksums"):
        file.read()
    assert file.sound_checksums() == []


def test_the_file_itself_is_gone(file):
    write(file, 3)
    file.path.unlink()
    with pytest.raises(TensorFileError, match="there is no"):
        file.read()
    assert file.sound_checksums() == []


def test_pieces_before_the_first_bad_one_are_sound(file):
    write(file, 3)
    checksums = file.checksums()
    assert file.sound_checksums() == checksums
    change(file.path, lambda content: content.__setitem__(-20, content[-20] ^ 1))  # row 5
    assert file.sound_checksums() == checksums[:1]
    change(file.path, lambda content: content.__setitem__(-80, content[-80] ^ 1))  # row 0
    assert file.sound_checksums() == []


def test_from_the_first_piece_on_nothing_is_left_of_a_longer_file(file):
    write(file, 3)
    whole = file.path.read_bytes()
    change(file.path, lambda content: content.extend(b"more"))
    checksums = []
    for number, rows in enumerate(file.chunks):
        file.write(number, VALUES[rows], checksums)
    assert file.path.read_bytes() == whole


def edit_notes(**changes):
    def edit(content):
        content[:] = json.dumps({**json.loads(content), **changes}).encode()

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        halve,
        lambda content: content.clear(),
        lambda content: content.__setitem__(slice(None), b"[1, 2]"),
        lambda content: content.__setitem__(slice(None), b'{"lr": 0.1}'),
        lambda content: content.__setitem__(0, 255),
        edit_notes(about={"what": "signal", "size": 3}),
        edit_notes(about=3),
        edit_notes(checksums=["00000000"] * 3),
        edit_notes(shape=[7, 3, 2]),
    ],
)
def test_damaged_notes(file, edit):
    write(file, 3)
    change(file.path.with_suffix(".json"), edit)
    for use in (file.read, file.checksums, file.sound_checksums):
        with pytest.raises(TensorFileError, match=r"a\.json is damaged.* or delete both"):
            use()


def test_a_file_of_somebody_elses_is_not_written_over(file):
    file.path.parent.mkdir()
    np.save(file.path, np.arange(3))
    for use in (file.read, file.checksums, file.sound_checksums):
        with pytest.raises(TensorFileError, match=r"without its a\.json; choose another path"):
            use()


def test_notes_come_before_the_file(file, monkeypatch):
    """Whoever is stopped in between leaves nothing that looks like somebody else's."""

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gf_env.storage.chunked_file.np.lib.format.write_array_header_1_0", stop)
        with pytest.raises(KeyboardInterrupt):
            write(file, 1)
    assert file.path.exists()
    assert file.sound_checksums() == []


def test_about_something_else(file):
    write(file, 3)
    other = ChunkedFile(file.path, {"what": "signal", "size": 3}, (7, 3, 2))
    message = r"has shape \[7, 2, 3\] instead of \[7, 3, 2\]; what 'noise' instead of 'signal'$"
    for use in (other.read, other.checksums, other.sound_checksums):
        with pytest.raises(TensorFileError, match=message):
            use()


def test_lists_and_tuples_are_the_same():
    check_same({"a": (1, 2), "b": None}, {"a": [1, 2], "b": None}, "it")
    with pytest.raises(TensorFileError, match=r"^it has a 1 instead of None$"):
        check_same({}, {"a": 1}, "it")
