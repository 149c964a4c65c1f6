import dataclasses

import numpy as np
import pytest

from agents.benchmark.agreement import disagreements, figures_of, same_digits
from agents.benchmark.results import Exits, Metrics
from tests.helpers.benchmark_rows import MADE, OTHER, make_arrays, make_row, make_suite

RUN = next(run for run in make_suite().runs() if run.entry.name == OTHER)
ROW, ARRAYS = make_row(RUN, 0.75), make_arrays(0.4, 0.575, 0.75)


@pytest.mark.parametrize(
    ("one", "other", "digits"),
    [
        (1.0, 1.1, 1),
        (0.123456, 0.123457, 5),
        (-2.0, -2.0000001, 7),
        (1e-9, 1.0000001e-9, 7),
        (100.0, 200.0, 0),
        (1.0, -1.0, 0),
        (0.0, 1e-300, 0),
        (1.0, float("nan"), 0),
        (float("inf"), 1.0, 0),
        (None, 1.0, 0),
        ("a", "b", 0),
        (True, False, 0),
    ],
)
def test_digits(one, other, digits):
    assert same_digits(one, other) == same_digits(other, one) == digits


def test_times_machines_and_names_are_no_figures():
    made = {**MADE, "torch": "3", "at": "2031-01-01T00:00:00+00:00"}
    training = dataclasses.replace(ROW.training, seconds=1e6)
    other = dataclasses.replace(ROW, policy="x", seconds=1.0, made=made, training=training)
    assert disagreements((ROW, ARRAYS), (other, ARRAYS)) == []


def test_what_differs_most_comes_first():
    accuracy = (*ROW.deterministic.accuracy[:2], 0.76)
    metrics = Metrics(accuracy, ROW.deterministic.mean_return * (1 + 2e-7))
    confidence = ARRAYS["confidence"].copy()
    confidence[3, 2], confidence[7, 1] = 1 + 1e-6, 0.5
    found = disagreements(
        (ROW, ARRAYS),
        (
            dataclasses.replace(ROW, deterministic=metrics, multiply_adds=(100, 200)),
            {**ARRAYS, "confidence": confidence},
        ),
    )
    assert [(each.name, each.digits) for each in found] == [
        ("multiply_adds[2]", 0),
        ("array 'confidence' at 22", 0),  # row 7, look 1 of 3
        ("deterministic.accuracy[2]", 1),
        ("deterministic.mean_return", 6),
    ]
    assert (found[0].before, found[0].now) == (300, None)


@pytest.mark.parametrize(
    "changed",
    [{"labels": np.arange(7)}, {"looks": np.arange(200)}],
    ids=["another shape", "one more"],
)
def test_arrays_of_another_kind(changed):
    (found,) = disagreements((ROW, ARRAYS), (ROW, {**ARRAYS, **changed}))
    assert found.name == f"the shape of array {next(iter(changed))!r}"
    assert found.digits == 0


def test_figures_that_were_not_kept_yet_do_not_count():
    older = dataclasses.replace(ROW, budgeted_area=None, exits=None)
    newer = dataclasses.replace(ROW, exits=Exits(((0.5, 0.6, 7.0),), ()))
    assert disagreements((older, {}), (newer, {})) == []
    lost = [each.name for each in disagreements((newer, {}), (older, {}))]
    assert "budgeted_area" in lost and "exits.budgeted[0][2]" in lost
    longer = dataclasses.replace(ROW, multiply_adds=(*ROW.multiply_adds, 400))
    assert [each.name for each in disagreements((ROW, {}), (longer, {}))] == ["multiply_adds[3]"]


def test_a_specification_is_no_figure_of_a_repetition():
    other = dataclasses.replace(ROW, key="k", spec={**ROW.spec, "newer": 1})
    assert figures_of(other)["spec.newer"] == 1
    assert disagreements((ROW, {}), (other, {})) == []
