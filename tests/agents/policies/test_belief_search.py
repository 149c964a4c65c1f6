import dataclasses

import numpy as np
import pytest
import torch

import gf_env
from agents.learners import belief_search
from agents.learners.belief_search import BeliefLearnerConfig
from agents.policies.belief_search import (
    BeliefConfig,
    BeliefNetwork,
    BeliefPolicy,
    coverage,
    surroundings,
)
from agents.policies.oracle import GreedyOracle
from agents.registry.files import open_policy
from gf_env.envs import episodes
from gf_env.envs.make_task import make_task
from tests.helpers.tiny import random_dataset

CONFIG = BeliefConfig((4, 2, 2), 32, 16, 3, places=4, margin=0.0, hidden_size=8)


def test_coverage_by_hand():
    """Patches of 16 pixels begin at 0, 8 and 16; places have their centres at 4, 12, 20, 28."""
    lines = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]).float()
    expected = torch.einsum("ac,bd->abcd", lines, lines).reshape(9, 16)
    assert torch.equal(coverage(CONFIG), expected)


def test_a_margin_leaves_out_what_is_at_a_patchs_edge_but_not_at_the_images():
    config = BeliefConfig((4, 2, 2), 32, 16, 5, places=16, margin=0.25, hidden_size=8)
    first, second = coverage(config).view(5, 5, 16, 16)[:2, 0, :, 0]
    # centres at 1, 3, ..., 31; the first patch ends at 16, the second is from 4 to 20
    assert first.nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert second.nonzero()[:, 0].tolist() == [4, 5, 6, 7]


def test_the_posterior_by_hand():
    cover = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    confidences = torch.tensor([[0.9, 0.5], [0.3, 0.3]])
    places, stakes, answers = belief_search.posterior(confidences, cover, trust=2.0)
    odds = np.exp(4)
    assert places[0].tolist() == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])
    assert places[1].tolist() == pytest.approx([0.5, 0.5])
    assert stakes.tolist() == pytest.approx([0.4, 0.0])
    assert answers.tolist() == [[1, 0], [0, 0]]


def task_of(tiny_network, **arguments):
    return make_task(network=tiny_network, dataset=random_dataset(40), grid_size=3, **arguments)


def test_the_first_loss_is_least_for_the_posterior_and_counts_stakes(tiny_network):
    task, rows = task_of(tiny_network), np.arange(3)
    shape = task.observation_space["features"].shape
    config = BeliefConfig(shape, 16, 8, 3, places=4, margin=0, hidden_size=8, evidence_size=0)
    network = BeliefNetwork(config).eval()
    flat = torch.full((3, 9), 0.4)
    assert belief_search.losses(task, network, flat, rows, 3.0)[0].item() == 0
    answers = torch.rand(3, 9, generator=torch.Generator().manual_seed(0))
    first, later = belief_search.losses(task, network, answers, rows, 3.0)
    places, stakes, _ = belief_search.posterior(answers, network.coverage, 3.0)
    entropy = (-(places * places.log()).sum(1) * stakes).mean()
    assert first > entropy
    assert later == 0


def test_looks_that_find_it_teach_nothing_more(toy):
    """Answers that are alike everywhere but for one patch: a look there has found it."""
    shape = toy.observation_space["features"].shape
    config = BeliefConfig(shape, 32, 12, 3, places=8, margin=0.0, hidden_size=8)
    network = BeliefNetwork(config).eval()
    rows = np.arange(20)
    found = belief_search.survey(toy)
    sure = torch.full((2000, 9), 0.5)
    first, later = belief_search.losses(toy, network, sure, rows, 3.0)
    assert first == later == 0
    _, later = belief_search.losses(toy, network, found, rows, 3.0)
    assert later > 0


def test_evidence_is_added_around_its_patch():
    config = dataclasses.replace(CONFIG, places=8, reach=0.25)  # of 4 pixels each, r = 6
    network = BeliefNetwork(config)
    around, width = surroundings(config)
    assert (around.shape, width) == ((9, 36), 6)
    ones = torch.nn.init.ones_(network.evidence_layers[-1].bias)
    torch.nn.init.zeros_(network.evidence_layers[-1].weight)
    assert ones.sum() == 36
    added = network.evidence(torch.rand(3, 4, 2, 2), torch.tensor([0, 4, 8])).view(3, 8, 8)
    lines = [(0, 5), (1, 7), (3, 8)]  # patches of 4 places and one around, at 0, 2 and 4
    for number, (start, stop) in enumerate(lines):
        expected = torch.zeros(8, 8)
        expected[start:stop, start:stop] = 1
        assert torch.equal(added[number], expected)


class Told(BeliefNetwork):
    """Believes what the glance says."""

    def forward(self, glance):
        return glance.flatten(1)


def told_policy(**changes):
    return BeliefPolicy(Told(dataclasses.replace(CONFIG, evidence_size=0, **changes)), seed=3)


def glance_of(*beliefs):
    glance = np.log(np.array(beliefs, np.float32)).reshape(-1, 4, 2, 2)
    return {"glance": glance, "features": glance}


def belief_at(**places):
    """Probabilities of 4 x 4 places, by `r<row>c<col>`."""
    values = np.full((4, 4), 1e-6)
    for name, value in places.items():
        values[int(name[1]), int(name[3])] = value
    return (values / values.sum()).ravel()


def test_looks_where_most_is_left():
    policy = told_policy()
    seen = glance_of(belief_at(r0c0=0.5, r3c3=0.3, r0c3=0.2), belief_at(r3c0=0.9, r1c2=0.1))
    starts = np.array([True, True])
    first, state = policy.predict(seen, None, starts, deterministic=True)
    second, state = policy.predict(seen, state, ~starts, deterministic=True)
    third, state = policy.predict(seen, state, ~starts, deterministic=True)
    assert first.tolist() == [0, 6]
    assert second[0] == 8
    assert coverage(CONFIG)[second[1]].view(4, 4)[1, 2] == 1
    assert third[0] == 2
    assert state.shape == (2, 33)
    again, _ = policy.predict(seen, state, np.array([True, False]), deterministic=True)
    assert again[0] == 0
    assert again[1] != 6


def test_without_searching_on_it_stays():
    policy = told_policy(search_on=False)
    seen = glance_of(belief_at(r0c0=0.5, r3c3=0.3))
    first, state = policy.predict(seen, None, np.array([True]), deterministic=True)
    second, _ = policy.predict(seen, state, np.array([False]), deterministic=True)
    assert first.tolist() == second.tolist() == [0]


def test_samples_follow_the_belief():
    policy = told_policy()
    seen = glance_of(*[belief_at(r0c0=0.75, r3c3=0.25)] * 400)
    actions, _ = policy.predict(seen)
    assert set(actions.tolist()) == {0, 8}
    assert (actions == 0).mean() == pytest.approx(0.75, abs=0.07)


def test_observations_that_do_not_fit():
    with pytest.raises(ValueError, match="sees 'glance'"):
        told_policy().predict({"features": np.zeros((1, 4, 2, 2))})
    with pytest.raises(ValueError, match="shape"):
        told_policy().predict({"glance": np.zeros((1, 4, 3, 3), np.float32)})
    with pytest.raises(ValueError, match="sees 'features'"):
        told_policy().predict({"glance": np.zeros((1, 4, 2, 2), np.float32)})


@pytest.fixture(scope="module")
def toy(target_task):
    return make_task(network=target_task.network, dataset=target_task.dataset, grid_size=3)


QUICK = BeliefLearnerConfig(
    epochs=20, warmup_updates=5, places=8, hidden_size=64, dropout=0.0, learning_rate=3e-3
)


def success(task, policy):
    state, memory = task.start(np.arange(500)), None
    for step in range(1, task.rules.sequence_length):
        seen = task.observation(state, policy.observe)
        actions, memory = policy.predict(seen, memory, np.full(500, step == 1), True)
        state, _, _ = task.step(state, task.locations(actions, 500))
    return episodes.readout(state).correct.float().mean().item()


def test_learns_a_toy_task(toy):
    updates = []
    policy = belief_search.train(toy, QUICK, updates.append)
    assert success(toy, policy) > 0.8
    assert [update.number for update in updates] == list(range(1, 161))
    assert updates[-1].steps == 2000 * 9
    assert {"losses/after_the_glance", "losses/after_looks"} <= updates[-1].metrics.keys()


def test_does_not_learn_from_shuffled_answers(toy, monkeypatch):
    survey = belief_search.survey

    def shuffled(task):
        order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
        return survey(task)[order]

    monkeypatch.setattr(belief_search, "survey", shuffled)
    assert success(toy, belief_search.train(toy, QUICK)) < 0.6


def test_the_survey_is_what_the_oracle_says(toy):
    found = belief_search.survey(toy)
    rows = np.array([0, 700, 1999])
    state = toy.start(rows)
    assert torch.equal(found[rows], GreedyOracle(3).confidences(toy, state))


def test_same_seed_same_policy_to_the_last_digit(toy):
    config = dataclasses.replace(QUICK, epochs=1, dropout=0.5)
    before = torch.random.get_rng_state()
    first, second = (belief_search.train(toy, config) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    other = belief_search.train(toy, dataclasses.replace(config, seed=1))
    for left, right in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(first.network.layers[1].weight, other.network.layers[1].weight)


def test_saves_loads_and_evaluates(tiny_network, tmp_path):
    dataset = random_dataset(12)
    task = make_task(network=tiny_network, dataset=dataset, grid_size=3)
    config = BeliefLearnerConfig(epochs=1, places=6, hidden_size=8, margin=0.1)
    policy = belief_search.train(task, config)
    policy.save(tmp_path / "policy.safetensors")
    loaded = open_policy(tmp_path / "policy.safetensors")
    assert isinstance(loaded, BeliefPolicy)
    found, expected = (
        gf_env.evaluate(each, network=tiny_network, dataset=dataset, grid_size=3)
        for each in (loaded, policy)
    )
    assert np.array_equal(found.locations, expected.locations)
    assert found.multiply_adds[-1] > task.cost.cumulative(task.rules.sequence_length)[-1]


def test_needs_a_grid(target_task):
    with pytest.raises(ValueError, match="make the task with grid_size"):
        belief_search.train(target_task)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"places": 0}, "places must be 1 or more"),
        ({"margin": 0.5}, "margin must be in"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"reach": -1.0}, "reach must be 0 or more"),
        ({"grid_size": 2, "margin": 0.4}, "places uncovered"),
    ],
)
def test_configurations_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"trust": 0}, {"weight_decay": -1}],
)
def test_settings_that_cannot_train(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        BeliefLearnerConfig(**changes)
