"""Curves and the areas between them, worked out by hand."""

import dataclasses
import json

import numpy as np
import pytest

from agents.benchmark.analysis.accuracy_at_cost import (
    BUDGETS,
    CONFIDENCE,
    FIXED,
    accuracy_at,
    curve,
    mean_difference,
)
from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.suite import Curves
from tests.helpers import benchmark_rows as rows
from tests.helpers.benchmark_rows import PAPER, PRICES, fill_stopping, stopping_suite

SUITE = stopping_suite()
FULL = [(1, 0.4), (2, 0.6), (3, 0.7)]


def pairs(points):
    return np.array(points, np.float64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("points", "corners"),
    [
        (FULL, FULL),
        (FULL[::-1], FULL),
        ([(1, 0.4), (2, 0.5), (3, 0.7)], [(1, 0.4), (3, 0.7)]),  # below the line of a mixture
        ([(1, 0.4), (1, 0.3), (2, 0.6), (3, 0.6), (4, 0.5)], [(1, 0.4), (2, 0.6)]),  # dominated
        ([(1, 0.25), (2, 0.5), (3, 0.75)], [(1, 0.25), (3, 0.75)]),  # on the line
        ([(2, 0.5)], [(2, 0.5)]),
    ],
)
def test_a_curve_is_what_mixtures_reach(points, corners):
    assert curve(pairs(points)).tolist() == pairs(corners).tolist()


def test_nobody_has_to_spend_all():
    costs = np.array([1.0, 1.5, 3.0, 9.0])
    found = accuracy_at(pairs([(1, 0.4), (2, 0.6), (3, 0.5)]), costs)
    np.testing.assert_allclose(found, [0.4, 0.5, 0.6, 0.6])


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        (FULL, FULL, 0.0),
        ([(cost, accuracy + 0.1) for cost, accuracy in FULL], FULL, 0.1),
        # only between our cheapest and our dearest: a triangle of height .15 over half of it
        ([(1, 0.5), (2, 0.65), (3, 0.5)], [(0, 0.0), (1, 0.5), (3, 0.5), (9, 0.9)], None),
        ([(2, 0.75)], FULL, 0.15),
        # a dominated point of ours makes the range no shorter
        ([(1, 0.5), (2, 0.3)], [(1, 0.4), (2, 0.6)], 0.0),
        # theirs ends before ours and stays level
        ([(1, 0.4), (3, 0.8)], [(1, 0.4), (2, 0.6)], 0.05),
    ],
)
def test_mean_differences_by_hand(ours, theirs, difference):
    found = mean_difference(pairs(ours), pairs(theirs))
    if difference is None:
        # theirs is straight from (1, .5) to (9, .9): .55 at 2 and .6 at 3
        difference = ((0.0 + 0.1) / 2 + (0.1 + 0.05) / 2) / 2
    assert found == pytest.approx(difference)


def test_prices_and_areas_of_a_report_by_hand(tmp_path):
    report = make_report(SUITE, fill_stopping(tmp_path, SUITE, lambda seed: (seed - 2) / 100))
    (found,) = report.settings[0].curves
    assert (found.name, found.against, found.seeds) == ("stopping", PAPER, (0, 1, 2, 3, 4))
    assert [each.look_cost for each in found.prices] == [*PRICES]
    for price, (cost, accuracy) in zip(found.prices, PRICES.values(), strict=True):
        assert price.accuracy.estimate == pytest.approx(accuracy)
        assert price.mean_multiply_adds.estimate == cost
        assert price.mean_looks.estimate == cost / 100
    rivals = dict(zip(found.rivals, found.areas, strict=True))
    # .08 above fixed looks at 110, .1 at 200 and 0 at 300
    expected = ((0.08 + 0.1) / 2 * 90 + 0.1 / 2 * 100) / 190
    assert rivals[FIXED].estimate == pytest.approx(expected)
    assert rivals[FIXED].low < expected < rivals[FIXED].high
    # the two other curves have corners at 100, 150, 250 and 300, and at 100, 200 and 300
    at_200 = [each.estimate for each in found.prices[1].differences]
    assert at_200 == pytest.approx([0.05, 0.05, 0.1])
    assert [*rivals] == [BUDGETS, CONFIDENCE, FIXED]
    json.dumps(dataclasses.asdict(report), allow_nan=False)


def test_entries_have_what_they_gained_and_spent(tmp_path):
    report = make_report(SUITE, fill_stopping(tmp_path, SUITE))
    lines = {line.name: line for line in report.settings[0].lines}
    line = lines["price 0.01"]
    assert (line.look_cost, line.mean_looks.estimate) == (0.01, 2)
    assert line.mean_return.estimate == pytest.approx(line.mean_gain.estimate - 0.01)
    assert line.budgeted_area is None
    # rows of before looks had a price
    old = lines[rows.OTHER]
    assert (old.mean_looks.estimate, old.mean_multiply_adds.estimate) == (3, 300)
    assert old.mean_gain == old.mean_return


@pytest.mark.parametrize("gone", [rows.OTHER, PAPER])
def test_what_keeps_curves_from_being_compared_is_said(tmp_path, gone):
    curves = Curves("mine", ("price 0.1",), gone)
    suite = stopping_suite(curves=(curves, Curves("none", ("nobody",), PAPER)))
    folder = fill_stopping(tmp_path, suite)
    if gone == PAPER:
        for run in suite.runs():
            if run.entry.name == "price 0.1":
                folder.append(rows.make_row(run, 0, failed="too bad"))
    report = make_report(suite, folder)
    mine, none = report.settings[0].curves
    said = {each for each in report.missing if "urve" in each and "no nobody" not in each}
    if gone == PAPER:
        assert (mine.seeds, mine.areas) == ((), ())
        assert "No curve mine: no seed has all of its runs." in said
    else:  # its rows are old
        assert mine.rivals == (FIXED,)
        assert any("mine is not compared with exits by thresholds" in each for each in said)
    assert none.areas == ()
    assert "No curve none: the suite has no nobody." in report.missing


def test_few_seeds_of_a_curve_are_said(tmp_path):
    suite = stopping_suite(seeds=(0, 1))
    report = make_report(suite, fill_stopping(tmp_path, suite))
    assert report.settings[0].curves[0].areas[0].low is None
    assert any(each.startswith("Curve stopping, 2 seeds: too few") for each in report.missing)
