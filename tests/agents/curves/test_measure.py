import numpy as np
import pytest
import torch

from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.curves import report
from agents.curves.measure import ANYTIME, BUDGETED, CONFIDENT, PLAIN, plain_networks
from agents.curves.pairs import FURTHER, TEST, Images, MeasuredPair, load_pair, measure_pair
from agents.curves.timing import TimingConfig, seconds_per_image
from gf_env.datasets.batches import Loading
from gf_env.evaluation import evaluate
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.inference.budgets import budgeted_batch
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.image_classifier import ImageClassifier, ImageClassifierConfig, measure_accuracy
from tests.helpers.tiny import random_dataset, tiny_config

ON_CPU = Loading(torch.device("cpu"))
PARTS = {TEST: slice(0, 20), FURTHER: slice(20, 30)}


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    network = GlanceFocusNet(tiny_config()).eval().requires_grad_(False)
    policy = PaperPolicy(PatchProposalNetwork(PatchProposalConfig((128, 1, 1), hidden_size=8)))
    return network, policy


@pytest.fixture(scope="module")
def classifiers():
    spec = random_dataset(1).spec
    return {
        size: ImageClassifier(ImageClassifierConfig("small-cnn", size, "area", spec)).eval()
        for size in (16, 8)
    }


@pytest.fixture(scope="module")
def measured(pair, classifiers) -> MeasuredPair:
    held_out, test = random_dataset(25, seed=1), random_dataset(30)
    plain = list(plain_networks(classifiers, test, ON_CPU))
    images = Images(held_out, test, PARTS, ON_CPU)
    return measure_pair(*pair, images).beside(plain, images)


def of(points, curve):
    return [each for each in points if each.curve == curve]


@pytest.mark.parametrize("part", PARTS)
def test_points_are_those_of_the_evaluation(pair, measured, part):
    network, policy = pair
    found = evaluate(policy, network=network, dataset=random_dataset(30)).take(PARTS[part])
    points = measured.points[part]
    assert measured.accuracy[part] == found.accuracy.tolist()
    anytime = of(points, ANYTIME)
    assert [each.setting for each in anytime] == [each.looks for each in anytime] == [1, 2, 3, 4, 5]
    assert [each.accuracy for each in anytime] == pytest.approx(found.accuracy.tolist())
    assert [each.multiply_adds for each in anytime] == found.multiply_adds.tolist()
    assert len(of(points, BUDGETED)) == 39
    for each in of(points, BUDGETED) + of(points, CONFIDENT):
        result = budgeted_batch(
            found.max_probability.T, found.correct.T, found.multiply_adds, each.thresholds
        )
        assert (each.accuracy, each.multiply_adds) == (result.accuracy, result.mean_cost)
        assert each.looks == pytest.approx(result.exit_shares @ np.arange(1, 6))


def test_thresholds_are_those_of_held_out_images(measured):
    for part in PARTS:
        ways = [(each.curve, each.setting, each.thresholds) for each in measured.held_out]
        points = measured.points[part][: len(ways)]
        assert ways == [(each.curve, each.setting, each.thresholds) for each in points]


def test_plain_networks(classifiers, measured):
    small, whole = of(measured.points[TEST], PLAIN)
    assert (small.setting, whole.setting) == (8, 16)
    assert whole.accuracy == measure_accuracy(classifiers[16], random_dataset(20))
    linear = 128 * 3
    assert small.multiply_adds < whole.multiply_adds
    assert (whole.multiply_adds - linear) / (small.multiply_adds - linear) == pytest.approx(4)


def test_times_and_plots(pair, classifiers, measured, tmp_path):
    points, images = measured.points[TEST], random_dataset(30).images(np.arange(16))
    seconds = seconds_per_image(
        AdaptiveClassifier(*pair),
        classifiers,
        points,
        images,
        TimingConfig(repeats=3, warmup=1),
        batch_size=8,
        threads=1,
    )
    timed = report.Timed(8, 1, points, seconds)
    assert min(seconds) > 0
    one, five = (timed.of(of(points, ANYTIME)[looks]) for looks in (0, 4))
    assert five > one
    for cost in report.COSTS:
        report.plot_curves(tmp_path / "new" / f"{cost}.png", timed, cost, "a title")
        assert (tmp_path / "new" / f"{cost}.png").read_bytes().startswith(b"\x89PNG")


def test_threads_are_as_they_were(pair, measured):
    before = torch.get_num_threads()
    images = random_dataset(30).images(np.arange(2))
    config = TimingConfig(repeats=1, warmup=0)
    seconds_per_image(
        AdaptiveClassifier(*pair),
        {},
        measured.points[TEST][:1],
        images,
        config,
        batch_size=2,
        threads=before + 1,
    )
    assert torch.get_num_threads() == before


def test_a_measured_pair_is_kept_in_a_file(measured, tmp_path):
    measured.save(tmp_path / "new" / "pair.json")
    assert load_pair(tmp_path / "new" / "pair.json") == measured
    other = Images(random_dataset(25, seed=2), random_dataset(30), PARTS, ON_CPU)
    with pytest.raises(ValueError, match="measure it again"):
        measured.beside([], other)


@pytest.mark.parametrize("content", ["{}", "[1, 2", '{"network": 3}'])
def test_a_file_that_holds_no_pair(content, tmp_path):
    (tmp_path / "pair.json").write_text(content)
    with pytest.raises(ValueError, match=r"pair\.json"):
        load_pair(tmp_path / "pair.json")


@pytest.mark.parametrize("name", ["batch_sizes", "threads"])
def test_nothing_to_time(name):
    with pytest.raises(ValueError, match="one value or more"):
        TimingConfig(**{name: ()})
