"""Learners on tasks with an action that stops."""

import pytest
import torch

import agents
from agents.learners import imitation
from agents.learners.imitation import ImitationConfig
from gf_env.envs.episodes import readout
from tests.agents.learners.test_contract import with_actions
from tests.agents.learners.toy import (
    EPISODIC,
    GRID,
    LEARNERS,
    LOCATIONS,
    LONG,
    collect,
    evaluation,
    first_images,
    new_network,
    train,
)
from tests.helpers.slow import slow


@pytest.mark.parametrize(
    ("name", "grid_size", "least"),
    [
        slow("recurrent_ppo", LOCATIONS, 0.65),
        slow("recurrent_ppo", GRID, 0.8),
        slow("reinforce", LOCATIONS, 0.6),
        slow("reinforce", GRID, 0.6),
        slow("imitation", GRID, 0.85),
        ("map_ppo", GRID, 0.8),
        ("map_imitation", GRID, 0.85),
    ],
)
def test_looks_that_cost_nothing_are_not_saved(toy, name, grid_size, least):
    """As many pixels are found as must be where there is no such action."""
    task = toy(grid_size, stop=True)
    policy, _ = train(name, task, **LONG[name, grid_size])
    found = evaluation(task, policy)
    assert found.accuracy[-1] > least
    assert (found.stopped & ~found.correct[:, -1]).mean() < 0.02


@pytest.mark.parametrize("case", with_actions(EPISODIC))
def test_looks_that_cost_too_much_are_not_taken(toy, case):
    name, grid_size = case
    task = toy(grid_size, stop=True, look_cost=1.0)
    settings = LONG[name, grid_size]
    policy, updates = train(name, task, **{**settings, "updates": settings["updates"] * 2 // 3})
    assert evaluation(task, policy).mean_looks < 1.05
    looks = [update.metrics["charts/looks"] for update in updates]
    assert looks[0] > 3 > 1.3 > looks[-1]
    assert updates[-1].metrics["charts/episodic_return"] > -0.3


def test_imitation_stops_once_it_has_found_what_there_is(toy):
    """With the loss `soft`; with `expected` one seed of 0 to 3 learned to stop."""
    task = toy(GRID, stop=True, look_cost=0.05)
    policy, _ = train("imitation", task, **LONG["imitation", GRID], loss="soft")
    found = evaluation(task, policy)
    assert found.accuracy[-1] > 0.85
    assert found.mean_looks < 2.5
    assert found.mean_return > 0.38  # of 0.45


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in EPISODIC])
def test_learners_whose_policies_cannot_stop_refuse(toy, name):
    task = toy(LEARNERS[name].actions[0], stop=True)
    with pytest.raises(ValueError, match=r"make the task without stop.*StopWhenSure"):
        train(name, task)


@pytest.mark.parametrize("grid_size", [LOCATIONS, GRID])
def test_saved_policies_go_on_stopping(toy, grid_size, tmp_path):
    task = toy(grid_size, stop=True, look_cost=0.1)
    policy = agents.RecurrentPolicy(new_network(task))
    policy.save(tmp_path / "policy.safetensors")
    loaded = agents.RecurrentPolicy.load(tmp_path / "policy.safetensors")
    assert loaded.stop
    first, again = (evaluation(task, each, deterministic=False) for each in (policy, loaded))
    assert first.looks.tolist() == again.looks.tolist()
    assert {*first.looks.tolist()} == {1, 2, 3, 4}


def test_log_probs_are_of_stops_or_of_locations(toy):
    task = toy(LOCATIONS, stop=True)
    network = new_network(task)
    rollout = collect(task, network, 500)
    choice, _ = network.replay(rollout.perceived)
    stops = task.actions.look(rollout.actions.flatten(0, 1)).stop.view(3, 500)
    of_stop = choice[..., 2].sigmoid().log()
    assert torch.allclose(rollout.log_probs[stops], of_stop[stops], atol=1e-4)
    where = torch.distributions.Normal(choice[..., :2], 0.5).log_prob(rollout.actions[..., :2])
    of_look = (1 - choice[..., 2].sigmoid()).log() + where.sum(-1)
    assert torch.allclose(rollout.log_probs[~stops], of_look[~stops], atol=1e-4)


def taught(toy, look_cost, beta=0.0):
    task = toy(GRID, stop=True, look_cost=look_cost)
    network = imitation.ImitationLearner(task, ImitationConfig(hidden_size=8)).policy().network
    generator, batch = torch.Generator().manual_seed(0), first_images(task, 200)
    teacher = agents.GreedyOracle(GRID)
    return task, network, imitation.collect(task, network, teacher, batch, beta, generator)


def test_the_teacher_says_what_stopping_is_worth(toy):
    task, _, lessons = taught(toy, 0.25)
    state = task.reset(*first_images(task, 200))
    assert torch.allclose(lessons.confidences[0, :, 9], readout(state).confidence + 0.25)
    assert lessons.confidences.shape == (3, 200, 10)


@pytest.mark.parametrize(("look_cost", "looks"), [(0.0, 4), (0.25, 2), (0.75, 1)])
def test_a_teacher_that_acts_stops_where_no_look_pays(toy, look_cost, looks):
    _, _, lessons = taught(toy, look_cost, beta=1.0)
    assert lessons.looks.tolist() == [looks] * 200


def test_agreement_is_an_action_as_good_as_the_best(toy):
    _, network, lessons = taught(toy, 0.25)
    log_probs, _ = network.replay(lessons.perceived)
    likeliest = network.actor.likeliest(log_probs)[..., None]
    advised = lessons.confidences.gather(2, likeliest)[..., 0]
    assert torch.equal(advised >= lessons.confidences.amax(2) - 0.01, lessons.agreed)


def test_whether_to_look_and_where_are_two_questions():
    log_probs = torch.tensor([0.2, 0.6, 0.2]).log()  # two patches, stopping
    whether, where = imitation.whether_and_where(log_probs, torch.tensor([0.4, 0.8, 0.5]))
    assert whether[0].exp().tolist() == pytest.approx([0.8, 0.2])
    # a quarter of the looks would be worth 0.4, the others 0.8
    assert whether[1].tolist() == pytest.approx([0.7, 0.5])
    assert where[0].exp().tolist() == pytest.approx([0.25, 0.75])
    assert where[1].tolist() == pytest.approx([0.4, 0.8])
