import numpy as np
import pytest

from gf_env.datasets.scenes.counter_random import SceneWords

WORDS = SceneWords("a stream", 5, 3, 10).take(12)  # ten, rounded up


@pytest.mark.parametrize("start", [5, 6, 7])
def test_words_depend_on_stream_and_index_alone(start):
    assert np.array_equal(SceneWords("a stream", start, 1, 10).take(12)[0], WORDS[start - 5])
    assert not np.isin(SceneWords("another", start, 1, 10).take(12), WORDS).any()
    assert len(np.unique(WORDS)) == 36


def test_words_are_handed_out_in_order():
    words = SceneWords("a stream", 5, 3, 10)
    assert np.array_equal(words.take(), WORDS[:, 0])
    assert np.array_equal(words.take(2, 3), WORDS[:, 1:7].reshape(3, 2, 3))
    assert np.array_equal(words.bytes(4, 8).reshape(3, -1), WORDS[:, 7:11].copy().view(np.uint8))


def test_ranges():
    words = SceneWords("ranges", 0, 10_000, 4)
    numbers, factors = words.below(7, 2), words.symmetric()
    assert (np.bincount(numbers.ravel(), minlength=7) > 2500).all()
    assert numbers.max() == 6
    assert factors.min() >= -1
    assert factors.max() < 1
    assert abs(factors.mean()) < 0.02


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: SceneWords("a name too long by 1", 0, 1, 4), "at most 16 characters, got 'a name"),
        (lambda: SceneWords("short", 0, 1, 4).take(5), "4 words a scene, 5 were asked for"),
    ],
)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()
