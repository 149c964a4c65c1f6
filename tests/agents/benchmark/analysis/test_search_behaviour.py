import numpy as np
import pytest

from agents.benchmark.analysis.search_behaviour import search_behaviour


def test_by_hand():
    """Patches of 4 of 8 pixels; three looks, of which the second and third count."""
    places = {"left": [0.0, 0.0], "right": [0.0, 1.0], "between": [0.0, 0.5]}
    locations = np.array(
        [
            [places["left"], places["left"], places["right"]],
            [places["left"], places["between"], places["right"]],
            [places["left"], places["left"], places["left"]],
        ],
        np.float32,
    )
    correct = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0]], bool)
    found = search_behaviour(correct, locations, 8, 4)
    # after misses: looks 2 and 3 of the first image, 2 of the second, 3 of the third
    assert found.seen_again == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert found.put_right == pytest.approx((0 + 1 + 1 + 0) / 4)


def test_many_images_are_as_few():
    rng = np.random.default_rng(0)
    correct, locations = rng.random((600, 5)) > 0.5, rng.random((600, 4, 2), np.float32)
    whole = search_behaviour(correct, locations, 20, 8)
    parts = [search_behaviour(correct[i : i + 1], locations[i : i + 1], 20, 8) for i in range(600)]
    counts = (~correct[:, 1:-1]).sum(1)
    mean = sum(
        part.seen_again * count for part, count in zip(parts, counts, strict=True) if part
    ) / sum(counts)
    assert whole.seen_again == pytest.approx(mean)


def test_without_a_miss_there_is_nothing_to_tell():
    assert search_behaviour(np.ones((4, 3), bool), np.zeros((4, 2, 2), np.float32), 8, 4) is None


def test_looks_that_were_not_taken_do_not_count():
    locations = np.zeros((3, 3, 2), np.float32)
    locations[0, 2] = 1
    correct = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    # the second image was left after its second look, the third after the glance
    found = search_behaviour(correct, locations, 8, 4, np.array([4, 2, 1]))
    assert found == (0.5, 0.5)
    assert search_behaviour(correct, locations, 8, 4, np.array([2, 2, 1])) is None
