"""Rollouts, and what is learned of them where episodes end early."""

from typing import get_args

import pytest
import torch

import agents
from agents.learners import base, imitation, ppo, reinforce
from agents.learners.returns import Baseline
from gf_env.envs.make_task import make_task
from tests.agents.learners.toy import (
    EPISODIC,
    GRID,
    LEARNERS,
    LOCATIONS,
    collect,
    first_images,
    new_network,
    train,
)


def lessons(task, network, count=64):
    """Return what imitation collects, of a policy that takes the teacher's advice half the time."""
    generator, teacher = torch.Generator().manual_seed(0), agents.GreedyOracle(3)
    return imitation.collect(task, network, teacher, first_images(task, count), 0.5, generator)


ENDS = [
    pytest.param((grid_size, end), id=f"{'grid' if grid_size else 'locations'}-{end}")
    for grid_size in (LOCATIONS, GRID)
    for end in ("ends_early", "stop")
]


@pytest.fixture(params=ENDS)
def ending(request, toy):
    """The toy task with either kind of action; episodes end when the pixel was found, or stop."""
    grid_size, end = request.param
    return toy(grid_size, **{end: True})


def test_replaying_gives_what_collecting_gave(ending):
    network = new_network(ending)
    rollout = collect(ending, network)
    choice, values = network.replay(rollout.perceived)
    log_probs = network.actor.log_prob(choice, rollout.actions)
    assert torch.allclose(log_probs, rollout.log_probs, atol=1e-4)
    assert torch.allclose(values, rollout.values, atol=1e-5)


def test_log_probs_are_of_samples_that_are_not_clipped(toy):
    network = new_network(toy(LOCATIONS))
    rollout = collect(toy(LOCATIONS), network, 500)
    assert rollout.actions.min() < 0
    assert rollout.actions.max() > 1
    choice, _ = network.replay(rollout.perceived)
    expected = torch.distributions.Normal(choice, 0.5).log_prob(rollout.actions).sum(-1)
    assert torch.allclose(rollout.log_probs, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("grid_size", "run"), [(LOCATIONS, collect), (GRID, collect), (GRID, lessons)]
)
def test_episodes_are_over_once_they_end(toy, grid_size, run):
    task = toy(grid_size, ends_early=True)
    played = run(task, new_network(task), 200)
    found = played.rewards > 0
    assert torch.equal(played.active, found.cumsum(0) - found.long() == 0)
    assert torch.equal(played.correct, found.any(0))
    assert torch.equal(played.looks, 1 + played.active.sum(0))
    assert 0 < played.active[1:].float().mean() < 1


@pytest.mark.parametrize(
    ("grid_size", "run"), [(LOCATIONS, collect), (GRID, collect), (GRID, lessons)]
)
def test_episodes_are_over_once_they_stop(toy, grid_size, run):
    task = toy(grid_size, stop=True, look_cost=0.1)
    played = run(task, new_network(task), 200)
    after = torch.cat([played.active[1:], torch.zeros(1, 200, dtype=torch.bool)])
    looked = played.rewards != 0  # every look costs
    assert torch.equal(looked, played.active & (after | (played.looks == 4)))
    assert torch.equal(played.looks, 1 + looked.sum(0))
    assert torch.equal(played.correct, (played.rewards > 0).any(0))
    assert {*played.looks.tolist()} == {1, 2, 3, 4}


def test_correct_is_what_the_classifier_said_when_the_episode_ended(target_task):
    """Later looks may change its mind."""
    always = (2.0, 0.0, 0.0, 0.0)  # ends after one look
    network, dataset = target_task.network, target_task.dataset
    task = make_task(network=network, dataset=dataset, exit_thresholds=always)
    rollout = collect(task, new_network(task), 500)
    assert rollout.active.tolist() == [[True] * 500, [False] * 500, [False] * 500]
    assert torch.equal(rollout.correct, rollout.rewards[0] > 0)
    assert (rollout.rewards[1:] > 0).any()


def ppo_losses(network, rollout, config):
    samples = ppo.prepare(rollout, config)
    return ppo.losses(network, samples, config, config.ent_coef)


def reinforce_losses(network, rollout, config):
    return reinforce.losses(network, rollout, config, config.ent_coef)


BOTH, EITHER = (LOCATIONS, GRID), [True, False]
LOSSES = [
    (collect, ppo_losses, ppo.RecurrentPPOConfig(clip_range_vf=0.1, ent_coef=0.1), BOTH),
    *(
        (collect, reinforce_losses, reinforce.ReinforceConfig(baseline=each, ent_coef=0.1), BOTH)
        for each in get_args(Baseline)
    ),
    *(
        (lessons, imitation.losses, imitation.ImitationConfig(loss=loss, weighted=each), (GRID,))
        for loss in imitation.LOSSES
        for each in EITHER
    ),
]


@pytest.mark.parametrize(
    ("run", "losses", "config", "grid_size"),
    [(*case, grid_size) for *case, grid_sizes in LOSSES for grid_size in grid_sizes],
)
@pytest.mark.parametrize("end", ["ends_early", "stop"])
def test_what_comes_after_the_end_has_no_influence(toy, run, losses, config, grid_size, end):
    task = toy(grid_size, **{end: True})
    network = new_network(task)
    clean = run(task, network)
    over = ~clean.active
    assert over.any()

    def disturb(values):
        if isinstance(values, dict):
            return {name: disturb(value) for name, value in values.items()}
        mask = over.view(*over.shape, *[1] * (values.ndim - 2))
        return torch.where(mask, torch.rand(values.shape).mul(7).to(values.dtype), values)

    kept = {"active", "agreed", "correct", "looks"}
    disturbed = clean._replace(
        **{name: disturb(value) for name, value in clean._asdict().items() if name not in kept}
    )
    outcomes = []
    for played in (clean, disturbed):
        network.zero_grad()
        loss, metrics = losses(network, played, config)
        loss.backward()
        gradients = [each.grad.clone() for each in network.parameters() if each.grad is not None]
        outcomes.append([loss, *metrics.values(), *gradients])
    for left, right in zip(*outcomes, strict=True):
        assert torch.allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("name", EPISODIC)
def test_learners_limit_their_gradients(toy, name, monkeypatch):
    limits = []
    monkeypatch.setattr(
        LEARNERS[name].module, "gradient_step", lambda *arguments: limits.append(arguments[3])
    )
    train(name, toy(GRID), updates=1, max_grad_norm=0.01)
    assert {*limits} == {0.01}


@pytest.mark.parametrize(("limit", "length"), [(None, 5), (10, 5), (0.01, 0.01)])
def test_long_gradients_are_scaled_down(limit, length):
    """Plain gradient descent moves the weights by the gradient's length."""
    network = torch.nn.Linear(2, 1, bias=False)
    before = network.weight.detach().clone()
    loss = (network.weight * torch.tensor([[3.0, 4.0]])).sum()
    base.gradient_step(network, torch.optim.SGD(network.parameters(), 1.0), loss, limit)
    assert (network.weight - before).norm().item() == pytest.approx(length, rel=1e-3)
