"""Learning curves by hand, and how often a training says how far it is."""

import pytest

from agents.benchmark.results import Training
from agents.benchmark.running.history import CURVE_POINTS, TrainingHistory
from agents.learners.base import Update


def update(number, **metrics):
    return Update(number, 10 * number, 0.4 * number, metrics)


def episodes(number):
    return update(
        number, **{"charts/episodic_return": 0.1 * number, "charts/accuracy": 0.01 * number}
    )


def test_a_line_a_second_at_most():
    lines = []
    history = TrainingHistory(lines.append)
    for number in range(1, 8):
        history(episodes(number))
    assert lines == [
        "30 steps in 1 s, return 0.300, accuracy 0.030",
        "60 steps in 2 s, return 0.600, accuracy 0.060",
    ]


def test_a_short_curve_has_a_point_an_update():
    history = TrainingHistory(print)
    history(episodes(1))
    history(episodes(2))
    assert history.training(3.5) == Training(20, 3.5, ((10, 0.4, 0.1, 0.01), (20, 0.8, 0.2, 0.02)))


def test_a_long_curve_is_smoothed():
    history = TrainingHistory(lambda line: None)
    for number in range(1, 2 * CURVE_POINTS + 1):
        history(episodes(number))
    curve = history.training(1.0).curve
    assert len(curve) == CURVE_POINTS
    assert curve[0] == pytest.approx((20, 0.8, 0.15, 0.015))


def test_what_learns_without_episodes_has_no_curve():
    lines = []
    history = TrainingHistory(lines.append)
    history(update(4))
    assert lines == ["40 steps in 2 s"]
    assert history.training(2.0) == Training(40, 2.0, ())
