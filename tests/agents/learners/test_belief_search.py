import numpy as np
import pytest
import torch

from agents.learners import belief_search
from agents.policies.oracle import GreedyOracle
from gf_env.envs.make_task import make_task
from tests.agents.learners.toy import GRID, train
from tests.helpers.tiny import random_dataset


def test_the_posterior_by_hand():
    cover = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    confidences = torch.tensor([[0.9, 0.5], [0.3, 0.3]])
    places, stakes, answers = belief_search.posterior(confidences, cover, trust=2.0)
    odds = np.exp(4)
    assert places[0].tolist() == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])
    assert places[1].tolist() == pytest.approx([0.5, 0.5])
    assert stakes.tolist() == pytest.approx([0.4, 0.0])
    assert answers.tolist() == [[1, 0], [0, 0]]


def one_step(task, **settings):
    """Return a network after one step of training."""
    settings = {"max_seconds": 1e-9, "margin": 0.0, "hidden_size": 8, **settings}
    return belief_search.train(task, belief_search.BeliefLearnerConfig(**settings)).network


def test_the_first_loss_is_least_for_the_posterior_and_counts_stakes(tiny_network):
    task = make_task(network=tiny_network, dataset=random_dataset(40), grid_size=3)
    rows = np.arange(3)
    network = one_step(task, places=4, evidence_size=0)
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
    task = toy(GRID)
    network = one_step(task, places=8)
    rows = np.arange(20)
    found = belief_search.survey(task)
    sure = torch.full((2000, 9), 0.5)
    first, later = belief_search.losses(task, network, sure, rows, 3.0)
    assert first == later == 0
    _, later = belief_search.losses(task, network, found, rows, 3.0)
    assert later > 0


def test_the_survey_is_what_the_oracle_says(toy):
    task, rows = toy(GRID), np.array([0, 700, 1999])
    found = belief_search.survey(task)
    state = task.start(rows)
    assert torch.equal(found[rows], GreedyOracle(3).confidences(task, state))


def test_takes_all_steps_of_all_epochs_after_the_survey(toy):
    _, seen = train("belief_search", toy(GRID), epochs=2, batch_size=600)
    assert [update.number for update in seen] == list(range(1, 9))
    # rises over five steps, then falls linearly
    rates = [update.metrics["charts/learning_rate"] for update in seen]
    shares = [0.2 * 1, 0.4 * 7 / 8, 0.6 * 6 / 8, 0.8 * 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert rates == pytest.approx([3e-3 * share for share in shares])
