"""Metrics of one run by hand, and how often a training says how far it is."""

from types import SimpleNamespace

import numpy as np
import pytest

from agents.benchmark.results import Training
from agents.benchmark.running.one_run import CURVE_POINTS, TrainingHistory, budgeted_area
from agents.learners.base import Update


def history_of(count, lines=None):
    """Of so many updates of 10 steps and 0.4 s each."""
    history = TrainingHistory(print if lines is None else lines.append)
    for number in range(1, count + 1):
        metrics = {"charts/episodic_return": 0.1 * number, "charts/accuracy": 0.01 * number}
        history(Update(number, 10 * number, 0.4 * number, metrics))
    return history


def test_a_line_a_second_at_most():
    lines = []
    history_of(7, lines)
    assert lines == [
        "30 steps in 1 s, return 0.300, accuracy 0.030",
        "60 steps in 2 s, return 0.600, accuracy 0.060",
    ]


def test_learning_curves():
    two = ((10, 0.4, 0.1, 0.01), (20, 0.8, 0.2, 0.02))
    assert history_of(2).training(3.5) == Training(20, 3.5, two)
    smoothed = history_of(2 * CURVE_POINTS).training(1.0).curve
    assert len(smoothed) == CURVE_POINTS
    assert smoothed[0] == pytest.approx((20, 0.8, 0.15, 0.015))


def test_what_learns_without_episodes_has_no_curve():
    lines = []
    history = TrainingHistory(lines.append)
    history(Update(4, 40, 1.6, {}))
    assert lines == ["40 steps in 2 s"]
    assert history.training(2.0) == Training(40, 2.0, ())


def test_budgeted_area():
    evaluated = SimpleNamespace(
        multiply_adds=np.array([10, 20, 30]), accuracy=np.array([0.5, 0.6, 0.8])
    )
    curve = [SimpleNamespace(mean_cost=20.0, accuracy=0.7)]
    # trapezoids of height 0.6 and 0.75, each half of the base
    assert budgeted_area(curve, evaluated) == pytest.approx(0.675)
