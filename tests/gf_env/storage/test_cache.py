import numpy as np
import pytest

from gf_env.storage.cache import cached_array


def test_a_full_disk_is_done_without(tmp_path, monkeypatch):
    """The disk fails at the very end, when all chunks have been made and consumed."""

    def refuse(*_):
        raise OSError(28, "No space left on device")

    def chunks():
        yield np.zeros((2, 3), np.uint8)
        yield np.ones((1, 3), np.uint8)

    monkeypatch.setattr("gf_env.storage.cache.os.replace", refuse)
    with pytest.warns(UserWarning, match="No space left"):
        array = cached_array(tmp_path / "a.npy", (3, 3), chunks)
    assert array.tolist() == [[0] * 3, [0] * 3, [1] * 3]
