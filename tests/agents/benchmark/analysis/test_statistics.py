"""Numbers worked out by hand, and what intervals must carry."""

import itertools
import math
import re

import numpy as np
import pytest

from agents.benchmark.analysis import statistics
from agents.benchmark.analysis.statistics import (
    ENOUGH_SEEDS,
    MIN_SEEDS,
    Interval,
    Resampling,
    difference_of_means,
    interquartile_mean,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap,
)

TWO_VALUED = [0.0, 0.0, 0.0, 1.0, 1.0]


def width(interval: Interval) -> float:
    assert interval.low is not None and interval.high is not None
    return interval.high - interval.low


def exact_quantiles(sample, confidence):
    """Of the mean over all equally likely resamples."""
    means = sorted(np.mean(drawn) for drawn in itertools.product(sample, repeat=len(sample)))
    tail = (1 - confidence) / 2
    return means[math.ceil(tail * len(means)) - 1], means[math.ceil((1 - tail) * len(means)) - 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([20, 1, 100, 3, 4, 6, -50, 5], 4.5),  # 3, 4, 5, 6, and not 1 and 20 with them
        ([0, 1, 2, 6, 100], 3.0),  # 1, 2, 6
        ([0, 3, 9], 4.0),  # all
        ([0, 1, 2, 3, 4, 90], 2.5),  # 1, 2, 3, 4
        ([0, 1, 2, 3, 4, 5, 90], 3.0),  # 1, 2, 3, 4, 5
        ([7], 7.0),
    ],
)
def test_interquartile_mean(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected)


def test_interquartile_mean_pools_or_goes_along_an_axis():
    values = np.array([[0, 1, 2, 6, 100], [5, 5, 5, 5, 5]])
    np.testing.assert_allclose(interquartile_mean(values, axis=1), [3, 5])
    # 0, 1 and 6, 100 go
    assert interquartile_mean(values) == pytest.approx((2 + 5 * 5) / 6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_bootstrap_is_that_of_all_resamples(confidence):
    low, high = exact_quantiles(TWO_VALUED, confidence)
    interval = stratified_bootstrap([TWO_VALUED], np.mean, Resampling(confidence, 20_000))
    assert interval == Interval(0.4, pytest.approx(low), pytest.approx(high), seeds=5)


def test_difference_of_means_by_hand():
    difference = difference_of_means([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0])
    assert (difference.estimate, difference.seeds) == (pytest.approx(2), 3)
    # of one side all are alike: the interval is that of the other side's mean
    alone = stratified_bootstrap([[1.0, 2.0, 3.0, 4.0, 5.0]], np.mean)
    assert difference.low == pytest.approx(alone.low - 1, abs=0.11)
    assert difference.high == pytest.approx(alone.high - 1, abs=0.11)
    both = difference_of_means([1.0, 2.0, 3.0, 4.0, 5.0], [-1.0, 0.0, 4.0, 0.0, 2.0])
    assert width(both) > width(difference)
    assert difference_of_means([1.0, 2.0], [0.0, 0.0]).low is None
    with pytest.raises(ValueError, match=r"theirs is empty"):
        difference_of_means([1.0], [])


def test_estimate_pools_settings_of_unequal_size():
    interval = stratified_bootstrap([[1, 2, 3], [4, 5, 6, 7, 100]])
    assert interval.estimate == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert interval.seeds == 3


def test_seeds_stay_in_their_setting():
    low_setting, high_setting = [0.0, 0.1, 0.2, 0.1, 0.1], [10.0, 10.1, 10.2, 10.1, 10.1]
    apart = stratified_bootstrap([low_setting, high_setting], np.mean)
    pooled = stratified_bootstrap([low_setting + high_setting], np.mean)
    assert apart.estimate == pytest.approx(5.1)
    assert width(apart) < 0.2  # the most there can be within settings
    assert width(pooled) > 4
    # settings are drawn independently: the same draws in both would cancel
    assert width(stratified_bootstrap([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]], np.mean)) > 1


def test_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for repeat in range(200):
        settings = [rng.normal(mean, 1, 15) for mean in (3, 5)]
        interval = stratified_bootstrap(settings, np.mean, Resampling(resamples=500, seed=repeat))
        held += interval.low <= 4 <= interval.high
    assert 0.88 <= held / 200 <= 0.98


SCORES = np.random.default_rng(0).normal(size=(6, 40))


@pytest.mark.parametrize(
    ("interval_of", "data"),
    [
        (stratified_bootstrap, (SCORES, interquartile_mean)),
        (probability_of_improvement, (SCORES, SCORES[::-1])),
        (paired_difference, (SCORES, SCORES[:, ::-1])),
    ],
)
def test_only_the_seed_decides(interval_of, data):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (interval_of(*data, Resampling(seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert first.low < first.estimate < first.high
    assert first.low == pytest.approx(other.low, abs=0.2 * width(first))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("value", [0.1, 0.0, 1 / 3])
def test_equal_values(value):
    scores = [[value] * 5, [value] * 5]
    interval = stratified_bootstrap(scores)
    assert interval.low == interval.high == interval.estimate == pytest.approx(value)
    assert probability_of_improvement(scores, scores) == Interval(0.5, 0.5, 0.5, seeds=5)
    difference = paired_difference(scores * 3, [[0.0] * 5] * 6)
    assert difference == Interval(*[pytest.approx(value)] * 3, seeds=6)


@pytest.mark.parametrize("seeds", range(1, ENOUGH_SEEDS + 2))
def test_few_seeds(seeds):
    many, few = np.arange(8.0), np.arange(float(seeds))
    for interval in (
        stratified_bootstrap([many, few]),
        probability_of_improvement([many, many], [many, few]),
    ):
        assert interval.seeds == seeds
        assert (interval.low is None) == (interval.high is None) == (seeds < MIN_SEEDS)
        assert bool(interval.note) == (seeds < ENOUGH_SEEDS)
    assert stratified_bootstrap([few]).estimate == interquartile_mean(few)


def test_probability_of_improvement():
    # first setting: 3 beats 1 and 2, 2 beats 1 and ties once; second: loses all
    interval = probability_of_improvement([[3, 2], [0, 0, 0]], [[1, 2, 4], [1, 1, 1]])
    assert interval.estimate == pytest.approx((3.5 / 6 + 0) / 2)
    assert probability_of_improvement([[5, 6, 7, 8, 9]], [[0, 1, 2, 3, 4]]) == Interval(1, 1, 1, 5)


def test_probability_of_improvement_is_that_of_all_resamples():
    # against equal values, a share of wins is the mean of wins
    low, high = exact_quantiles(TWO_VALUED, 0.8)
    interval = probability_of_improvement([TWO_VALUED], [[0.5] * 5], Resampling(0.8, 20_000))
    assert interval == Interval(pytest.approx(0.4), pytest.approx(low), pytest.approx(high), 5)


def test_paired_difference_estimate():
    ours = [[1, 0, 1, 1], [1, 1, 1, 0]]  # 1, .5, 1, .5
    theirs = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1]]  # 0, 1/3, 2/3, 1
    assert paired_difference(ours, theirs).estimate == pytest.approx(0.25)
    assert paired_difference(np.array(ours, bool), theirs) == paired_difference(ours, theirs)


def test_paired_difference_carries_the_choice_of_images():
    values = np.random.default_rng(0).normal(size=2000)
    interval = paired_difference(values[None], np.zeros((1, 2000)))
    assert width(interval) == pytest.approx(2 * 1.96 * values.std() / 2000**0.5, rel=0.1)
    assert interval.note.count("1 seed") == 2
    # equal seeds add nothing, as each of them has met the same images
    of_five = paired_difference([values] * 5, np.zeros((5, 2000)))
    assert width(of_five) == pytest.approx(width(interval), rel=0.1)


@pytest.mark.parametrize("their_seeds", [1, 5])
def test_paired_difference_carries_the_choice_of_seeds(their_seeds):
    ours = np.repeat(np.array(TWO_VALUED)[:, None], 10, axis=1)  # the same at each image
    theirs = np.zeros((their_seeds, 10))
    low, high = exact_quantiles(TWO_VALUED, 0.8)
    interval = paired_difference(ours, theirs, Resampling(0.8, 20_000))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    turned = paired_difference(theirs, ours, Resampling(0.8, 20_000))
    assert (turned.low, turned.high) == pytest.approx((-high, -low))


def test_paired_difference_of_both_sides_adds_their_variances():
    rng = np.random.default_rng(0)
    ours, theirs = (np.repeat(rng.normal(size=(20, 1)), 5, axis=1) for _ in range(2))
    one = [width(paired_difference(side, np.zeros((5, 5)))) for side in (ours, theirs)]
    assert width(paired_difference(ours, theirs)) == pytest.approx(math.hypot(*one), rel=0.1)


def test_paired_difference_draws_the_seeds_of_each_side_on_their_own():
    """Drawn together, seeds that are the same in order would cancel."""
    scores = np.repeat(np.arange(5.0)[:, None], 10, axis=1)
    one = width(paired_difference(scores, np.zeros((5, 10))))
    assert width(paired_difference(scores, scores)) == pytest.approx(math.sqrt(2) * one, rel=0.1)


def test_paired_difference_is_paired():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, 500)
    ours, theirs = (difficulty + rng.normal(0, 0.1, (5, 500)) for _ in range(2))
    assert width(paired_difference(ours, theirs)) < 0.1
    assert width(paired_difference(ours, rng.permuted(theirs[0])[None])) > 1


def test_paired_difference_does_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, 5, 50))
    whole = paired_difference(*values, Resampling(resamples=100))
    monkeypatch.setattr(statistics, "_RESAMPLED_AT_ONCE", 7 * 50)
    parts = paired_difference(*values, Resampling(resamples=100))
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high))


def test_paired_difference_notes_few_seeds():
    values = np.random.default_rng(0).normal(size=(6, 30))
    assert paired_difference(values, values).note == ""
    rule = paired_difference(values, values[:1])
    assert rule.seeds == 1 and rule.low is not None
    assert "theirs" in rule.note and "ours" not in rule.note
    assert "3 seeds" in paired_difference(values[:3], values).note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean([]), "empty"),
        (lambda: interquartile_mean([1, math.nan]), "1 NaN"),
        (lambda: stratified_bootstrap([]), "at least one setting"),
        (lambda: stratified_bootstrap([[1, 2, 3], []]), r"strata\[1\] is empty"),
        (lambda: stratified_bootstrap([[1, 2, math.inf]]), r"strata\[0\] has 1 NaN or infinite"),
        (lambda: stratified_bootstrap([1.0, 2.0, 3.0]), r"must be \(seeds,\)"),
        (lambda: Resampling(confidence=95), "confidence must be less than 1"),
        (lambda: Resampling(confidence=1.0), "confidence must be less than 1"),
        (lambda: Resampling(confidence=0), "confidence must be greater than 0"),
        (lambda: Resampling(resamples=0), "resamples must be greater than 0"),
        (lambda: probability_of_improvement([[1]], [[1], [2]]), "1 settings and theirs 2"),
        (lambda: probability_of_improvement([[1]], [[math.nan]]), r"theirs\[0\] has 1 NaN"),
        (lambda: paired_difference([[1, 2]], [[1, 2, 3]]), "2 images and theirs 3"),
        (lambda: paired_difference([1, 2], [[1, 2]]), r"ours must be \(seeds, images\)"),
        (lambda: paired_difference(np.ones((0, 4)), np.ones((2, 4))), "ours is empty"),
        (lambda: paired_difference([[1, 2]], [[1, math.nan]]), "theirs has 1 NaN"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean([]), "values is empty, shape (0,); at least one value"),
        (lambda: probability_of_improvement([[]], [[1.0]]), "ours[0] is empty, shape (0,); at l"),
        (lambda: probability_of_improvement([[1.0]], [[]]), "theirs[0] is empty, shape (0,); at"),
        (lambda: difference_of_means([], [1.0]), "ours is empty, shape (0,); at least one value"),
        (lambda: difference_of_means([1.0], []), "theirs is empty, shape (0,); at least one v"),
        (lambda: difference_of_means([[1.0]], [1.0]), "ours must be (seeds,), got shape (1, 1)"),
        (lambda: difference_of_means([1.0], [[1.0]]), "theirs must be (seeds,), got shape (1, 1)"),
    ],
)
def test_errors_say_which_side_and_what_it_must_be(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


@pytest.mark.parametrize(("count", "seeds"), [(1, "1 seed"), (2, "2 seeds")])
def test_too_few_seeds_are_counted(count, seeds):
    note = stratified_bootstrap([[0.5] * count]).note
    assert note == f"{seeds}: too few for an interval, which needs {MIN_SEEDS}"


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_every_resample_is_drawn_whatever_is_held_at_a_time(monkeypatch, at_once):
    monkeypatch.setattr(statistics, "_RESAMPLED_AT_ONCE", at_once)
    ours, theirs = np.full((3, 2), 4.0), np.full((4, 2), 1.5)
    drawn = statistics._draw_differences(ours, theirs, Resampling(resamples=9))
    assert drawn.tolist() == [2.5] * 9


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ([1.0], r"^theirs must be \(seeds, images\), got shape \(1,\)"),
        ([[1.0, 0.0]], "same images in the same order$"),
    ],
)
def test_images_that_cannot_be_paired(theirs, message):
    with pytest.raises(ValueError, match=message):
        paired_difference([[1.0]], theirs)


def test_a_note_on_either_side_of_a_pair():
    note = paired_difference([[1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]).note
    assert note == (
        "1 seed of ours: the interval leaves out the choice of it; "
        f"2 seeds: the interval is too narrow, {ENOUGH_SEEDS} are asked for"
    )


def test_as_many_resamples_as_asked_for():
    scores = [[0.0, 0.5, 1.0, 7.0]]
    few, many = (stratified_bootstrap(scores, np.mean, Resampling(resamples=n)) for n in (5, 50))
    assert (few.low, few.high) != (many.low, many.high)
