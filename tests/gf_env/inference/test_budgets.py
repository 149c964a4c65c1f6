import time

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import gf_env
from gf_env.inference.budgets import BUDGETS, CONFIDENCES, confident_curve

SURE = np.array([[0.9, 0.8, 0.3, 0.6], [0.5, 0.4, 0.7, 0.9], [0.9, 0.9, 0.9, 0.9]])


def test_thresholds_by_hand():
    # q = 1: a third of 4 images leaves at each step, so floor(4 / 3) = 1
    assert gf_env.exit_thresholds(SURE, 1.0).tolist() == [0.9, 0.9, 0.0]
    # q = 0.5: shares 4/7, 2/7, 1/7 of 4 images, so 2, 1 and the rest
    assert gf_env.exit_thresholds(SURE, 0.5).tolist() == [0.8, 0.9, 0.0]
    # q = 1.9: the first share is 0.175, of 4 images none
    assert gf_env.exit_thresholds(SURE, 1.9)[0] == np.inf


def test_budgeted_batch_by_hand():
    correct = np.array([[1, 0, 0, 0], [1, 1, 0, 1], [1, 1, 1, 1]], bool)
    result = gf_env.budgeted_batch(SURE, correct, [1, 3, 10], [0.8, 0.9, 0.0])
    # images 0 and 1 leave at once, image 3 after the second step, image 2 at the end
    assert result.accuracy == 0.75
    assert result.mean_cost == (1 + 1 + 3 + 10) / 4
    assert result.exit_shares.tolist() == [0.5, 0.25, 0.25]


def reference(sure, correct, cost, q):
    """The paper's procedure, one image at a time."""
    steps, count = sure.shape
    shares = [q**k for k in range(1, steps + 1)]
    inside, thresholds = list(range(count)), []
    for step in range(steps - 1):
        number = int(np.floor(count * shares[step] / np.sum(shares)))
        ranked = sorted((sure[step, i] for i in inside), reverse=True)
        number = min(number, len(ranked))
        thresholds.append(ranked[number - 1] if number else float("inf"))
        inside = [i for i in inside if sure[step, i] < thresholds[-1]]
    thresholds.append(0.0)
    right, spent = 0, 0.0
    for i in range(count):
        step = next(k for k in range(steps) if sure[k, i] >= thresholds[k])
        right += correct[step, i]
        spent += cost[step]
    return thresholds, right / count, spent / count


@settings(max_examples=60, deadline=None)
@given(
    sure=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 5), st.integers(1, 12)),
        elements=st.sampled_from(np.linspace(0.1, 1.0, 10).tolist()),  # ties are common
    ),
    q=st.sampled_from(BUDGETS),
    seed=st.integers(0, 99),
)
def test_equal_to_a_plain_loop(sure, q, seed):
    correct = np.random.default_rng(seed).random(sure.shape) < 0.5
    cost = np.arange(1, len(sure) + 1) ** 2
    thresholds, accuracy, mean_cost = reference(sure, correct, cost, q)
    found = gf_env.exit_thresholds(sure, q)
    assert found.tolist() == thresholds
    result = gf_env.budgeted_batch(sure, correct, cost, found)
    assert result.accuracy == pytest.approx(accuracy)
    assert result.mean_cost == pytest.approx(mean_cost)
    assert result.exit_shares.sum() == pytest.approx(1)


def test_larger_budgets_cost_more():
    """On fifty thousand images, thresholds and all, in under a second."""
    sure = np.random.default_rng(0).random((50_000, 5))
    start = time.perf_counter()
    points = gf_env.budgeted_curve(sure, sure, sure > 0.5, range(5))
    assert time.perf_counter() - start < 1
    costs = [point.mean_cost for point in points]
    assert len(costs) == len(BUDGETS) == 39
    assert np.all(np.diff(costs) >= 0)
    assert costs[0] < 0.2 < 2.5 < costs[-1]


@pytest.mark.parametrize("q", [0, 2, -1, float("nan")])
def test_bad_budgets(q):
    with pytest.raises(ValueError, match=r"q must be in \(0, 2\)"):
        gf_env.exit_thresholds(SURE, q)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"shape \(T, n\)"):
        gf_env.exit_thresholds(SURE[0], 1.0)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        gf_env.exit_thresholds(SURE * 2, 1.0)
    with pytest.raises(ValueError, match=r"thresholds needs one value for each of 3 steps"):
        gf_env.budgeted_batch(SURE, SURE > 0, [1, 2, 3], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"cumulative_cost needs one value"):
        gf_env.budgeted_batch(SURE, SURE > 0, [1, 2], [0.5, 0.5, 0.0])
    with pytest.raises(ValueError, match=r"correct must have shape"):
        gf_env.budgeted_batch(SURE, SURE[:2] > 0, [1, 2, 3], [0.5, 0.5, 0.0])


def test_curve_by_hand():
    # the held-out images give thresholds 0.9, 0.9 and 0 for q = 1, as above
    sure = np.array([[0.95, 0.1, 0.1], [0.8, 0.9, 0.1], [0.1, 0.1, 0.2], [0.1, 0.8, 0.9]])
    correct = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [1, 1, 0]], bool)
    points = gf_env.budgeted_curve(SURE.T, sure, correct, [1, 3, 10])
    assert [point.q for point in points] == list(BUDGETS)
    point = points[19]
    assert point.q == 1.0
    assert point.thresholds.tolist() == [0.9, 0.9, 0.0]
    # images leave after 1, 2, 3 and 3 looks: right, wrong, right, wrong
    assert point.accuracy == 0.5
    assert point.mean_cost == (1 + 3 + 10 + 10) / 4
    assert point.exit_shares.tolist() == [0.25, 0.25, 0.5]


def test_curve_of_arrays_that_do_not_fit():
    right = SURE.T > 0
    with pytest.raises(ValueError, match=r"validation_max_probability must have shape \(n, T\)"):
        gf_env.budgeted_curve(SURE[0], SURE.T, right, [1, 2, 3])
    with pytest.raises(ValueError, match="same number of steps T, got 2 and 3"):
        gf_env.budgeted_curve(SURE.T[:, :2], SURE.T, right, [1, 2, 3])
    with pytest.raises(ValueError, match=r"correct must have shape \(4, 3\), got \(3, 4\)"):
        gf_env.budgeted_curve(SURE.T, SURE.T, right.T, [1, 2, 3])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        gf_env.budgeted_curve(SURE.T, SURE.T * 2, right, [1, 2, 3])


def test_one_confidence_for_all_looks_by_hand():
    sure = np.array([[0.5, 0.95, 1.0], [0.2, 0.4, 0.6]])
    correct = np.array([[0, 1, 1], [1, 0, 1]], bool)
    points = {point.confidence: point for point in confident_curve(sure, correct, [1, 3, 10])}
    assert [*points] == list(CONFIDENCES)
    # both leave at once; the first after its second look, the other takes all three
    assert points[0.2][1:3] == (0.5, 1.0)
    assert points[0.9][1:3] == (1.0, (3 + 10) / 2)
    assert points[0.9].exit_shares.tolist() == [0, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"correct must have shape \(2, 3\), got \(3, 2\)"):
        confident_curve(sure, correct.T, [1, 3, 10])
