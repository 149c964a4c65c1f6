"""Images leave the batch when they are sure, and get what the plain path would have given them."""

import numpy as np
import pytest
import torch

import agents
import gf_env
from agents.learners.architectures.map import Map
from gf_env.envs.episodes import Episodes
from gf_env.feature_bank.bank import feature_shape
from gf_env.inference.adaptive import AdaptiveClassifier
from tests.helpers.policies import LastPatch, Recorder
from tests.helpers.tiny import ArrayDataset, random_dataset, random_network

INF = float("inf")


@pytest.fixture
def cascaded_network():
    return random_network(classifier="cascaded", first_step="own_head")


def paper_policy(network):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = agents.PatchProposalConfig(feature_shape(network))
        policy = agents.PaperPolicy(agents.PatchProposalNetwork(config))
        policy.network.actor.weight.data *= 20  # or all patches are near the centre
    return policy


def map_policy(network):
    config = network.config
    blank = np.zeros((1, config.channels, config.image_size, config.image_size))
    dataset = ArrayDataset(blank, [0], config.image_spec)
    task = gf_env.make_task(network=network, dataset=dataset, grid_size=7)
    policy = Map(components=0).new_policy(task, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for each in policy.network.parameters():
            torch.nn.init.normal_(each)  # or the map is blank
    return policy


class Remembering:
    """Looks where its memory of the episode says, so that a mixed-up row changes the results.

    `kind` is how it keeps its memory: one `array`, one `tensor`, or a `tuple` of arrays
    (layers, n, 2).
    """

    observe = ("glance", "locations", "step")

    def __init__(self, kind):
        self.kind = kind

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        seen = [observation[key].reshape(len(episode_start), -1) for key in sorted(observation)]
        seen = np.concatenate([values[:, :6] for values in seen], axis=1)
        past = 0 if state is None else self._read(state)
        memory = past + np.stack([seen[:, ::2].sum(1), seen[:, 1::2].sum(1)], axis=1)
        return np.sin(9 * memory).astype(np.float32), self._write(memory)

    def _read(self, state):
        return (state[0][0] + state[1][1]) if self.kind == "tuple" else np.asarray(state)

    def _write(self, memory):
        if self.kind == "tuple":
            half = np.stack([memory / 2, memory / 2])
            return half, half
        return torch.from_numpy(memory) if self.kind == "tensor" else memory


class OnlyPredict:
    """Asks a policy as Stable-Baselines3's users do, which hides that it chooses on tensors."""

    def __init__(self, policy):
        self.predict = policy.predict


POLICIES = {
    "centre, corners": lambda network: agents.CentreCornerPolicy(),
    "paper": paper_policy,
    "map": map_policy,
    "paper, through predict": lambda network: OnlyPredict(paper_policy(network)),
    "array": lambda network: Remembering("array"),
    "tensor": lambda network: Remembering("tensor"),
    "tuple": lambda network: Remembering("tuple"),
}


def thresholds_between(max_probability, q=1.0):
    """Thresholds with which images leave at every step, none of them within a rounding error."""
    thresholds = gf_env.exit_thresholds(max_probability.T, q)
    for step in range(len(thresholds) - 1):
        lower = max_probability[:, step][max_probability[:, step] < thresholds[step]].max()
        thresholds[step] = (thresholds[step] + lower) / 2
    return thresholds


def first_at(max_probability, thresholds):
    """(n,) number of looks when each image leaves at the first threshold that it reaches."""
    leave = max_probability >= thresholds
    leave[:, -1] = True
    return leave.argmax(1) + 1


def rows_encoded(encoder):
    """Return a list to which every call of an encoder will add its number of images."""
    seen = []
    encoder.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    return seen


def assert_equal_to_the_plain_path(policy, network, dataset, count, as_float=False):
    plain = gf_env.evaluate(policy, network=network, dataset=dataset, num_images=count)
    thresholds = thresholds_between(plain.max_probability)
    looks = first_at(plain.max_probability, thresholds)
    assert set(looks) == {1, 2, 3, 4, 5}
    images = gf_env.load_dataset(dataset, "test").images(np.arange(count))
    images = network.normalise(images) if as_float else images
    done = AdaptiveClassifier(network, policy).classify(images, thresholds)
    last = np.arange(count), looks - 1
    assert done.looks.tolist() == looks.tolist()
    np.testing.assert_allclose(done.max_probability, plain.max_probability[last], atol=1e-5)
    assert np.array_equal(done.prediction.numpy() == plain.labels, plain.correct[last])
    best, prediction = done.probabilities.max(1)
    assert torch.equal(best, done.max_probability)
    assert torch.equal(prediction, done.prediction)
    assert torch.allclose(done.probabilities.sum(1), torch.ones(count))
    dtypes = (done.prediction.dtype, done.max_probability.dtype, done.looks.dtype)
    assert dtypes == (torch.int64, torch.float32, torch.int64)


@pytest.mark.parametrize("name", POLICIES)
def test_builtin_network(network, name):
    assert_equal_to_the_plain_path(POLICIES[name](network), network, "cluttered-digits", 120)


@pytest.mark.parametrize("name", POLICIES)
def test_cascaded_network(cascaded_network, name):
    policy = POLICIES[name](cascaded_network)
    assert_equal_to_the_plain_path(policy, cascaded_network, random_dataset(60), 60)


def test_normalised_images(network):
    policy = agents.CentreCornerPolicy()
    assert_equal_to_the_plain_path(policy, network, "cluttered-digits", 60, as_float=True)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("batch_size", [1, 7, 16, 200])
def test_waiting_images_take_the_places_of_those_that_left(cascaded_network, name, batch_size):
    """However many are inside at a time, and at whatever steps, each image fares the same."""
    dataset = random_dataset(60)
    images = dataset.images(np.arange(60))
    policy = POLICIES[name](cascaded_network)
    plain = gf_env.evaluate(policy, network=cascaded_network, dataset=dataset)
    thresholds = thresholds_between(plain.max_probability)
    classifier = AdaptiveClassifier(cascaded_network, policy)
    together = classifier.classify(images, thresholds)
    seen = rows_encoded(cascaded_network.local_encoder)
    done = classifier.classify(images, thresholds, batch_size=batch_size)
    assert torch.equal(done.looks, together.looks)
    assert torch.equal(done.prediction, together.prediction)
    assert torch.allclose(done.probabilities, together.probabilities, atol=1e-5)
    assert max(seen) <= batch_size
    assert sum(seen) == int((done.looks - 1).sum())
    # full until nobody waits any more; what is left then takes a look more each time
    assert seen == sorted(seen, reverse=True)
    assert len([each for each in seen if each < batch_size]) < classifier.sequence_length


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_a_policy_that_stops_at_thresholds(cascaded_network, name, batch_size):
    """It fares as at the same thresholds of the classifier, and as in an evaluation."""
    dataset = random_dataset(60)
    images = dataset.images(np.arange(60))
    policy = POLICIES[name](cascaded_network)
    plain = gf_env.evaluate(policy, network=cascaded_network, dataset=dataset)
    thresholds = thresholds_between(plain.max_probability)
    expected = AdaptiveClassifier(cascaded_network, policy).classify(images, thresholds)
    stopping = agents.StopWhenSure(policy, thresholds)
    seen = rows_encoded(cascaded_network.local_encoder)
    done = AdaptiveClassifier(cascaded_network, stopping).classify(images, batch_size=batch_size)
    assert torch.equal(done.looks, expected.looks)
    assert torch.allclose(done.probabilities, expected.probabilities, atol=1e-5)
    assert sum(seen) == int((done.looks - 1).sum())
    evaluated = gf_env.evaluate(stopping, network=cascaded_network, dataset=dataset)
    assert evaluated.looks.tolist() == done.looks.tolist()
    ended = evaluated.max_probability[:, -1]
    np.testing.assert_allclose(ended, done.max_probability, atol=1e-5)


def test_a_policy_that_stops_takes_no_thresholds(tiny_network, tiny_dataset):
    policy = agents.StopWhenSure(agents.CentrePolicy(), 0.5)
    classifier = AdaptiveClassifier(tiny_network, policy)
    with pytest.raises(ValueError, match=r"StopWhenSure decides itself.*exit_thresholds"):
        classifier.classify(tiny_dataset.images(np.arange(2)), [0.5] * 5)


def test_a_policy_of_another_network(tiny_network, tiny_dataset):
    config = agents.PatchProposalConfig((4, 2, 2), hidden_size=8)
    policy = agents.PaperPolicy(agents.PatchProposalNetwork(config))
    classifier = AdaptiveClassifier(tiny_network, policy)
    with pytest.raises(ValueError, match=r"sees features of shape \(n, 4, 2, 2\), got"):
        classifier.classify(tiny_dataset.images(np.arange(2)))


def test_grid_policies(tiny, tiny_network, tiny_dataset):
    plain = gf_env.evaluate(LastPatch(), **tiny, grid_size=3)
    images = tiny_dataset.images(np.arange(20))
    done = AdaptiveClassifier(tiny_network, LastPatch(), grid_size=3).classify(images)
    np.testing.assert_allclose(done.max_probability, plain.max_probability[:, -1], atol=1e-6)


def test_fewer_and_fewer_rows_are_encoded(tiny, tiny_network, tiny_dataset):
    images = tiny_dataset.images(np.arange(20))
    policy = Recorder()
    plain = gf_env.evaluate(policy, **tiny)
    policy.calls.clear()
    thresholds = thresholds_between(plain.max_probability)
    glances, focuses = (
        rows_encoded(encoder)
        for encoder in (tiny_network.global_encoder, tiny_network.local_encoder)
    )
    looks = AdaptiveClassifier(tiny_network, policy).classify(images, thresholds).looks
    expected = [int((looks > step).sum()) for step in range(1, 5)]
    assert 20 > expected[0] > expected[1] > expected[2] > expected[3] > 0
    assert (glances, focuses) == ([20], expected)
    # and the policy sees those rows only, as in an environment
    starts = [[step == 0] * count for step, count in enumerate(expected)]
    for (seen, _, start, deterministic), expected_start in zip(policy.calls, starts, strict=True):
        assert set(seen) == {"features", "hidden_state"}
        assert len(seen["features"]) == len(expected_start)
        assert start.tolist() == expected_start
        assert deterministic


def test_nobody_left_nothing_run(tiny_network, tiny_dataset):
    policy = Recorder()
    classifier = AdaptiveClassifier(tiny_network, policy)
    images = tiny_dataset.images(np.arange(4))
    done = classifier.classify(images, [0, INF, INF, INF, INF])
    assert done.looks.tolist() == [1] * 4
    assert policy.calls == []
    empty = classifier.classify(images[:0], [0.5] * 5)
    assert [tuple(each.shape) for each in empty] == [(0,), (0,), (0,), (0, 3)]
    assert policy.calls == []


@pytest.mark.parametrize("thresholds", [None, [INF] * 5, [1.5] * 5, [INF, INF, INF, INF, 0.0]])
def test_all_looks_without_a_copy(tiny, tiny_network, tiny_dataset, thresholds, monkeypatch):
    monkeypatch.delattr(Episodes, "take")
    images = tiny_dataset.images(np.arange(4))
    policy = agents.CentreCornerPolicy()
    done = AdaptiveClassifier(tiny_network, policy).classify(images, thresholds)
    plain = gf_env.evaluate(policy, **tiny, num_images=4)
    assert done.looks.tolist() == [5] * 4
    np.testing.assert_allclose(done.max_probability, plain.max_probability[:, -1], atol=1e-6)


def test_a_threshold_that_is_just_reached_is_reached(tiny_network, tiny_dataset):
    classifier = AdaptiveClassifier(tiny_network, agents.CentrePolicy())
    images = tiny_dataset.images(np.arange(1))
    sure = classifier.classify(images, [0.0] * 5).max_probability.double().item()
    above = np.nextafter(sure, 2)  # the next float64: as a float32 it would be the same
    assert classifier.classify(images, [sure, INF, INF, INF, INF]).looks.item() == 1
    assert classifier.classify(images, [above, INF, INF, INF, INF]).looks.item() == 5


def test_fewer_looks(tiny_network, tiny_dataset):
    classifier = AdaptiveClassifier(tiny_network, agents.CentrePolicy(), sequence_length=2)
    done = classifier.classify(tiny_dataset.images(np.arange(3)))
    assert classifier.sequence_length == 2
    assert done.looks.tolist() == [2] * 3


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([0.5] * 4, r"each of 5 steps, got shape \(4,\)"),
        (0.5, r"each of 5 steps, got shape \(\)"),
        ([0.5, float("nan"), 0.5, 0.5, 0.5], "0 or more.*nan"),
        ([0.5, 0.5, -0.1, 0.5, 0.5], r"0 or more.*-0\.1"),
    ],
)
def test_bad_thresholds(tiny_network, tiny_dataset, thresholds, message):
    classifier = AdaptiveClassifier(tiny_network, agents.CentrePolicy())
    images = tiny_dataset.images(np.arange(2))
    with pytest.raises(ValueError, match=message):
        classifier.classify(images, thresholds)
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        classifier.classify(images, batch_size=0)


@pytest.mark.parametrize(
    ("actions", "state", "message"),
    [
        (np.zeros((3, 3)), None, r"shape \(4, 2\), got shape \(3, 3\)"),
        (np.full((4, 2), np.nan), None, "NaN"),
        (None, 7, "array with 4 rows.*got int"),
        (None, np.zeros((3, 2)), r"array with 4 rows.*got shape \(3, 2\)"),
        (None, (np.zeros((4, 2)),), r"\(layers, 4, size\).*got shape \(4, 2\)"),
    ],
)
def test_bad_policies(tiny_network, tiny_dataset, actions, state, message):
    classifier = AdaptiveClassifier(tiny_network, Recorder(actions, state))
    with pytest.raises(ValueError, match=message):
        classifier.classify(tiny_dataset.images(np.arange(4)))


def test_bad_images(tiny_network):
    classifier = AdaptiveClassifier(tiny_network, agents.CentrePolicy())
    with pytest.raises(ValueError, match=r"shape \(n, 1, 16, 16\), got \(2, 3, 16, 16\)"):
        classifier.classify(torch.zeros(2, 3, 16, 16))
    with pytest.raises(ValueError, match=r"uint8 or normalised float images, got torch\.int64"):
        classifier.classify(torch.zeros(2, 1, 16, 16, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"torch tensor.*got ndarray"):
        classifier.classify(np.zeros((2, 1, 16, 16), np.uint8))


def test_what_it_cannot_be_made_of(tiny_network, cascaded_network):
    policy = agents.CentrePolicy()
    for other in (object(), agents.GreedyOracle()):
        with pytest.raises(TypeError, match=f"{type(other).__name__} is no policy"):
            AdaptiveClassifier(tiny_network, other)
    with pytest.raises(ValueError, match="made for 5 steps cannot take 6"):
        AdaptiveClassifier(cascaded_network, policy, sequence_length=6)
    with pytest.raises(ValueError, match="training mode"):
        AdaptiveClassifier(tiny_network.train(), policy)
    policy.observe = ("label",)
    with pytest.raises(ValueError, match="label"):
        AdaptiveClassifier(cascaded_network, policy)
