import pytest

from agents.curves.equal_accuracy import compare_at, plain_cost
from agents.curves.measure import BUDGETED, PLAIN, Point
from agents.curves.pairs import MeasuredPair, ratio_over_pairs
from agents.curves.report import Timed

PLAIN_POINTS = [
    Point(PLAIN, 24, 0.5, 3.0),
    Point(PLAIN, 48, 0.7, 6.0),
    Point(PLAIN, 60, 0.69, 8.0),  # dearer and no better: no part of the comparison
    Point(PLAIN, 96, 0.95, 16.0),
]
HELD_OUT = [
    Point(BUDGETED, 0.5, 0.62, 2.1),
    Point(BUDGETED, 1.0, 0.86, 4.1),
    Point(BUDGETED, 1.5, 0.85, 5.1),
    Point(BUDGETED, 1.9, 0.97, 8.1),
]
FOUND = [
    Point(BUDGETED, 0.5, 0.6, 2.0),
    Point(BUDGETED, 1.0, 0.825, 4.0),
    Point(BUDGETED, 1.5, 0.84, 5.0),
    Point(BUDGETED, 1.9, 0.96, 8.0),
    *PLAIN_POINTS,
]


def test_by_hand():
    # .6 is reached by the first; .85 by the second, which is right in .825 of what counts; .97 by
    # the last, which plain networks do not reach there; .99 by none
    first, second = compare_at((0.6, 0.85, 0.97, 0.99), HELD_OUT, FOUND, BUDGETED)
    assert (first.wanted, first.point) == (0.6, FOUND[0])
    assert first.plain == pytest.approx(4.5)
    assert (second.wanted, second.point) == (0.85, FOUND[1])
    assert second.plain == pytest.approx(11.0)
    assert second.ratio == pytest.approx(4 / 11)


def test_a_plain_network_that_costs_more_and_is_no_better_is_left_out():
    costs = {24: 30.0, 48: 20.0, 60: 35.0, 96: 40.0}
    at = {accuracy: Point(BUDGETED, 1, accuracy, 1.0) for accuracy in (0.6, 0.7, 0.825)}
    found = {accuracy: plain_cost(PLAIN_POINTS, costs, each) for accuracy, each in at.items()}
    assert found == {0.6: 20.0, 0.7: 20.0, 0.825: pytest.approx(30.0)}


@pytest.mark.parametrize("accuracy", [0.49, 0.951])
def test_what_plain_networks_do_not_reach(accuracy):
    costs = {each.setting: each.multiply_adds for each in PLAIN_POINTS}
    assert plain_cost(PLAIN_POINTS, costs, Point(BUDGETED, 1, accuracy, 1.0)) is None


def pair(scale):
    """Return a pair that costs so many times as much."""
    held_out = [Point(BUDGETED, 1.0, 0.86, 4.1 * scale), Point(BUDGETED, 1.9, 0.96, 8.0)]
    points = [Point(BUDGETED, 1.0, 0.825, 4.0 * scale), Point(BUDGETED, 1.9, 0.9, 14.0)]
    points = {"test": [*points, *PLAIN_POINTS]}
    return MeasuredPair("a network", {}, held_out, points, {"test": [0.825]})


def test_mean_over_pairs():
    pairs = [pair(scale) for scale in (1.0, 1.1, 1.2, 1.3, 0.9)]
    found = ratio_over_pairs(pairs, "test", BUDGETED)
    assert list(found) == [0.85, 0.9, 0.93, 0.95, 0.96]
    assert found[0.85].estimate == pytest.approx(1.1 * 4 / 11)
    assert 0.9 * 4 / 11 < found[0.85].low < found[0.85].estimate < found[0.85].high < 1.3 * 4 / 11
    assert found[0.96].low == pytest.approx(1.0)


def test_time_at_equal_accuracy():
    compared = compare_at((0.85,), HELD_OUT, FOUND, BUDGETED)
    timed = Timed(1, 1, FOUND, [0.1, 0.2, 0.3, 0.4, 1.0, 2.0, 3.0, 4.0])
    (row,) = timed.compared(compared)
    assert (row["wanted"], row["seconds"]) == (0.85, 0.2)
    assert row["plain"] == pytest.approx(3.0)
    assert row["ratio"] == pytest.approx(0.2 / 3)
