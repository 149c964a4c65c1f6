import numpy as np
import pytest
import torch

from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.curves import report
from agents.curves.measure import (
    ANYTIME,
    BUDGETED,
    CONFIDENT,
    PLAIN,
    LatencyConfig,
    Point,
    measure_curves,
)
from gf_env.evaluation import evaluate
from gf_env.inference.budgets import budgeted_batch
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier, ImageClassifierConfig, measure_accuracy
from tests.helpers.tiny import random_dataset, tiny_config

POINTS = [
    Point(curve, setting, accuracy, multiply_adds=cost, seconds=cost / 10)
    for curve, setting, accuracy, cost in (
        (BUDGETED, 0.5, 0.6, 2.0),
        (BUDGETED, 1.0, 0.8, 4.0),
        (BUDGETED, 1.5, 0.79, 5.0),  # dearer and no better: no part of the comparison
        (BUDGETED, 1.9, 0.9, 8.0),
        (PLAIN, 24, 0.5, 3.0),
        (PLAIN, 48, 0.7, 6.0),
        (PLAIN, 96, 0.95, 16.0),
    )
]


@pytest.mark.parametrize(("cost", "unit"), [("multiply_adds", 1), ("seconds", 10)])
def test_at_equal_accuracy_by_hand(cost, unit):
    # GFNet does not reach 0.5 and 0.95; 0.7 lies half-way between 2 and 4
    (row,) = report.at_equal_accuracy(POINTS, BUDGETED, cost)
    assert row["input_size"] == 48
    assert row["gfnet"] * unit == pytest.approx(3.0)
    assert row["ratio"] == pytest.approx(0.5)


def test_against_plain_networks_in_between_by_hand():
    rows = report.against_interpolated_plain(POINTS, BUDGETED, "multiply_adds")
    # 0.6 costs a plain network 4.5, 0.8 costs 10, 0.79 costs 9.6, 0.9 costs 14
    assert [row["plain"] for row in rows] == pytest.approx([4.5, 10, 9.6, 14])
    assert [row["ratio"] for row in rows] == pytest.approx([2 / 4.5, 0.4, 5 / 9.6, 8 / 14])


@pytest.fixture(scope="module")
def measured():
    torch.manual_seed(0)
    network = GlanceFocusNet(tiny_config()).eval().requires_grad_(False)
    policy = PaperPolicy(PatchProposalNetwork(PatchProposalConfig((128, 1, 1), hidden_size=8)))
    dataset = random_dataset(30)
    plain = {
        size: ImageClassifier(ImageClassifierConfig("small-cnn", size, "area", dataset.spec)).eval()
        for size in (16, 8)
    }
    latency = LatencyConfig(batch_size=8, batches=2, repeats=2, warmup=0)
    points = measure_curves(network, policy, plain, dataset, dataset, latency)
    return network, policy, plain, dataset, points


def of(points, curve):
    return [each for each in points if each.curve == curve]


def test_points_are_those_of_the_evaluation(measured):
    network, policy, _, dataset, points = measured
    found = evaluate(policy, network=network, dataset=dataset)
    anytime = of(points, ANYTIME)
    assert [each.setting for each in anytime] == [1, 2, 3, 4, 5]
    assert [each.accuracy for each in anytime] == pytest.approx(found.accuracy.tolist())
    assert [each.multiply_adds for each in anytime] == found.multiply_adds.tolist()
    assert len(of(points, BUDGETED)) == 39
    for each in of(points, CONFIDENT):
        result = budgeted_batch(
            found.max_probability.T, found.correct.T, found.multiply_adds, [each.setting] * 5
        )
        assert (each.accuracy, each.multiply_adds) == (result.accuracy, result.mean_cost)


def test_plain_networks(measured):
    _, _, plain, dataset, points = measured
    small, whole = of(points, PLAIN)
    assert (small.setting, whole.setting) == (8, 16)
    assert whole.accuracy == measure_accuracy(plain[16], dataset)
    linear = 128 * 3
    assert small.multiply_adds < whole.multiply_adds
    assert (whole.multiply_adds - linear) / (small.multiply_adds - linear) == pytest.approx(4)


def test_times_and_summary(measured):
    points = measured[-1]
    assert all(each.seconds > 0 for each in points)
    one, five = (of(points, ANYTIME)[looks].seconds for looks in (0, 4))
    assert five > one
    found = report.summary(points)
    assert found["at_gfnet_accuracies"].keys() == {BUDGETED, CONFIDENT}
    assert len(found["points"]) == len(points)
    assert np.isfinite([each["accuracy"] for each in found["points"]]).all()


@pytest.mark.parametrize("cost", report.COSTS)
def test_plots_are_written(tmp_path, cost):
    report.plot_curves(tmp_path / "new" / "curves.png", POINTS, cost, "a title")
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")
