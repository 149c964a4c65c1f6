import dataclasses

import numpy as np
import pytest
import torch

import agents
from agents.policies import beam_search
from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from gf_env.evaluation import evaluate
from gf_env.geometry import Lattice
from gf_env.network.classifiers import Classifier
from gf_env.network.glance_focus_net import GlanceFocusNet
from tests.agents.policies.made import seeded
from tests.helpers.tiny import ArrayDataset, TwoPiecesNetwork, tiny_config


@pytest.fixture
def task(tiny_network, tiny_dataset):
    return make_task(network=tiny_network, dataset=tiny_dataset, sequence_length=4)


def best_end(task, state, grid_size, looks):
    """Return the largest confidence at the end of all sequences of patches, (n,)."""
    grid = Lattice.grid(grid_size, 16, 8).locations()
    count = len(state.labels)
    for _ in range(looks):
        every = torch.arange(len(state.labels)).repeat_interleave(len(grid))
        state, _, _ = task.step(state.take(every), Look(grid.repeat(len(state.labels), 1)))
    return episodes.readout(state).confidence.view(count, -1).max(1).values


@pytest.mark.parametrize(("grid_size", "width"), [(2, 16), (3, 81)])
def test_with_enough_width_it_is_the_best_of_all_sequences(task, grid_size, width):
    oracle = agents.BeamSearchOracle(grid_size, width)
    state = task.start(np.arange(6))
    best = best_end(task, state, grid_size, looks=3)
    for _ in range(3):
        state, _, _ = task.step(state, oracle.choose_looks(task, state))
    assert torch.allclose(episodes.readout(state).confidence, best, atol=1e-6)


@pytest.mark.parametrize(
    ("share", "lengths"), [(0.0, {1, 4}), (0.5, {1, 4}), (1.0, {1, 2, 4}), (100.0, {1})]
)
def test_with_stop_it_is_the_best_of_all_sequences_of_all_lengths(task, share, lengths):
    """Prices are shares of what a good first look earns."""
    start = state = task.start(np.arange(20))
    first = episodes.readout(start).confidence
    ends = [best_end(task, start, 2, looks) for looks in range(4)]
    price = share * float((ends[1] - first).median())
    task = dataclasses.replace(task, rules=dataclasses.replace(task.rules, look_cost=price))
    best = torch.stack([end - price * looks for looks, end in enumerate(ends)]).max(0).values
    oracle, earned = agents.BeamSearchOracle(2, 16, stop=True), torch.zeros(20)
    for _ in range(3):
        state, rewards, _ = task.step(state, oracle.choose_looks(task, state))
        earned += rewards
    assert torch.allclose(earned, best - first, atol=1e-6)
    assert {*state.step.tolist()} == lengths


TABLE = {1: 0.6, 2: 0.5, 3: 0.4, 11: 0.7, 12: 0.7, 13: 0.6, 21: 0.2, 22: 0.8, 33: 0.9}


class TableClassifier(Classifier):
    """The state is the choices so far, as digits; the probability of class 1 is in a table."""

    def advance(self, pooled, hidden):
        return hidden * 10 + pooled

    def logits(self, hidden):
        probability = torch.tensor([TABLE.get(int(code), 0.1) for code in hidden[:, 0]])
        return torch.stack([1 - probability, probability], dim=1).log()


@pytest.mark.parametrize(("width", "expected"), [(1, 0), (2, 1), (3, 2)])
def test_by_hand(width, expected):
    """Greedy goes 1, 1 to 0.7; two kept find 2, 2 and its 0.8; three find 3, 3 and its 0.9."""
    arguments = TableClassifier(), torch.zeros(1, 1), torch.tensor([[[1.0], [2.0], [3.0]]])
    labels = torch.tensor([1])
    first, reached = beam_search.first_of_best(*arguments, labels, looks=2, width=width)
    assert first.tolist() == [expected]
    assert reached.tolist() == pytest.approx([0.7 + 0.1 * expected])
    one_look, reached = beam_search.first_of_best(*arguments, labels, looks=1, width=width)
    assert one_look.tolist() == [0]
    assert reached.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(
    ("look_cost", "expected", "comes_to"), [(0.0, 2, 0.9), (0.2, 2, 0.5), (0.35, 0, 0.25)]
)
def test_shorter_plans_by_hand(look_cost, expected, comes_to):
    """3, 3 has 0.9 after two looks, 1 has 0.6 after one."""
    first, reached = beam_search.first_of_best(
        TableClassifier(),
        torch.zeros(1, 1),
        torch.tensor([[[1.0], [2.0], [3.0]]]),
        torch.tensor([1]),
        looks=2,
        width=3,
        look_cost=look_cost,
    )
    assert first.tolist() == [expected]
    assert reached.tolist() == pytest.approx([comes_to])


def test_with_width_1_it_is_greedy(task):
    state = task.start(np.arange(6))
    chosen = agents.BeamSearchOracle(3, 1).choose_looks(task, state).locations
    assert torch.equal(chosen, agents.GreedyOracle(3).choose_looks(task, state).locations)


@pytest.mark.parametrize("changes", [{}, {"classifier": "cascaded", "first_step": "own_head"}])
def test_episodes_may_be_at_different_steps(tiny_dataset, changes):
    config = tiny_config(sequence_length=4, **changes)
    network = seeded(lambda: GlanceFocusNet(config)).eval().requires_grad_(False)
    task = make_task(network=network, dataset=tiny_dataset)
    oracle = agents.BeamSearchOracle(3, 4)
    fresh = task.start(np.arange(6))
    once, _, _ = task.step(fresh, Look(torch.full((6, 2), 0.25)))
    twice, _, _ = task.step(once, Look(torch.full((6, 2), 0.75)))
    odd = torch.tensor([1, 4])
    mixed = fresh.put(odd, once.take(odd)).put(torch.tensor([5]), twice.take(torch.tensor([5])))
    chosen = oracle.choose_looks(task, mixed).locations
    for row, state in enumerate([fresh, once, fresh, fresh, once, twice]):
        assert torch.equal(chosen[row], oracle.choose_looks(task, state).locations[row])


def test_memory_is_bounded_by_slices_that_make_no_difference(task, monkeypatch):
    state, oracle, seen = task.start(np.arange(6)), agents.BeamSearchOracle(3, 4), []
    at_once = oracle.choose_looks(task, state).locations
    logits_of_each = task.network.classifier.logits_of_each

    def spy(pooled, hidden):
        seen.append(hidden.shape[:2].numel() * pooled.shape[1])
        return logits_of_each(pooled, hidden)

    monkeypatch.setattr(task.network.classifier, "logits_of_each", spy)
    for pairs, largest in ((100, 2 * 4 * 9), (20, 2 * 9)):  # images apart, then plans too
        seen.clear()
        monkeypatch.setattr(beam_search, "_PAIRS_AT_ONCE", pairs)
        assert torch.equal(oracle.choose_looks(task, state).locations, at_once)
        assert max(seen) == largest


def test_two_looks_that_only_gain_together_are_found_by_a_width_of_all_patches():
    """Greedy finds nothing at its first look, and a narrow beam drops what it cannot tell apart."""
    config = tiny_config(image_size=32, classes=("no", "yes"), sequence_length=3)
    network = TwoPiecesNetwork(config).eval()
    images = np.zeros((30, 1, 32, 32), np.uint8)
    rng = np.random.default_rng(0)
    for image in images:  # 4 x 4 patches of 8 pixels that do not overlap
        for piece, patch in zip((100, 200), rng.choice(16, 2, replace=False), strict=True):
            image[0, patch // 4 * 8 + 4, patch % 4 * 8 + 4] = piece
    dataset = ArrayDataset(images, np.ones(30), config.image_spec)
    found = {
        name: evaluate(policy, network=network, dataset=dataset).confidence
        for name, policy in {
            "greedy": agents.GreedyOracle(4),
            "narrow": agents.BeamSearchOracle(4, 2),
            "wide": agents.BeamSearchOracle(4, 16),
        }.items()
    }
    for confidence in found.values():
        assert np.allclose(confidence[:, :2], 0.5)
    assert np.all(found["wide"][:, 2] > 0.99)
    assert max(found[name][:, 2].mean() for name in ("greedy", "narrow")) < 0.7


@pytest.mark.parametrize("feature_bank", [True, False])
def test_ends_at_least_as_high_as_greedy(tiny_network, tiny_dataset, feature_bank):
    where = {"network": tiny_network, "dataset": tiny_dataset, "sequence_length": 4}
    where |= {"grid_size": 3, "feature_bank": feature_bank, "batch_size": 8}
    greedy = evaluate(agents.GreedyOracle(3), **where)
    beam = evaluate(agents.BeamSearchOracle(3, 8), **where)
    assert beam.confidence[:, -1].mean() >= greedy.confidence[:, -1].mean()


def test_ends_at_least_as_high_as_greedy_on_the_built_in_task():
    greedy = evaluate(agents.GreedyOracle(4), num_images=30)
    beam = evaluate(agents.BeamSearchOracle(4, 8), num_images=30)
    assert beam.confidence[:, -1].mean() > greedy.confidence[:, -1].mean()
