import numpy as np
import pytest

from gf_env.datasets.scenes.counter_random import SceneWords

WORDS = SceneWords("a stream", np.arange(5, 8), 10).take(12)  # ten, rounded up


@pytest.mark.parametrize("index", [5, 6, 7])
def test_words_depend_on_stream_and_index_alone(index):
    alone = np.array([index])
    assert np.array_equal(SceneWords("a stream", alone, 10).take(12)[0], WORDS[index - 5])
    assert not np.isin(SceneWords("another", alone, 10).take(12), WORDS).any()
    assert len(np.unique(WORDS)) == 36


@pytest.mark.parametrize("indices", [[7, 6, 5], [5, 7], [6, 6], [6, 7, 5], []])
def test_words_in_any_order(indices):
    chosen = np.array(indices, np.int64)
    assert np.array_equal(SceneWords("a stream", chosen, 10).take(12), WORDS[chosen - 5])


def test_words_far_out_are_those_of_the_counter():
    """The counter is here a number of more than 64 bits."""
    index = 2**62 + 1
    words = SceneWords("sixteen letters!", np.array([index]), 4096).take(4096)
    key = int.from_bytes(b"sixteen letters!", "little")
    philox = np.random.Philox(key=key, counter=index * 1024)
    assert np.array_equal(words[0], philox.random_raw(4096))


def test_words_are_handed_out_in_order():
    words = SceneWords("a stream", np.arange(5, 8), 10)
    assert np.array_equal(words.take(), WORDS[:, 0])
    assert np.array_equal(words.take(2, 3), WORDS[:, 1:7].reshape(3, 2, 3))
    assert np.array_equal(words.bytes(4, 8).reshape(3, -1), WORDS[:, 7:11].copy().view(np.uint8))


def test_ranges():
    words = SceneWords("ranges", np.arange(10_000), 16)
    numbers, factors = words.below(7, 2), words.symmetric()
    assert (np.bincount(numbers.ravel(), minlength=7) > 2500).all()
    assert numbers.max() == 6
    assert factors.min() >= -1
    assert factors.max() < 1
    assert abs(factors.mean()) < 0.02
    bounds = np.arange(1, 10_001)[:, None]
    assert (words.below(bounds, 2) < bounds).all()
    order = words.distinct(5, 3)
    assert (np.diff(np.sort(order), axis=1) > 0).all()
    assert (np.bincount(order.ravel(), minlength=5) > 5500).all()


ONE = np.arange(1)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: SceneWords("a name too long by 1", ONE, 4), "at most 16 characters, got 'a name"),
        (lambda: SceneWords("short", ONE, 4).take(5), "4 words a scene, 5 were asked for"),
    ],
)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()
