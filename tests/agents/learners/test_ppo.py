import pytest
import torch

from agents.learners import ppo
from agents.learners.ppo import RecurrentPPOConfig
from tests.agents.learners.toy import GRID, LOCATIONS, collect, new_network


def test_clipped_surrogate_by_hand():
    ratio = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.0])
    advantages = torch.tensor([1.0, -1.0, 3.0, 1.0, -1.0])
    found = ppo.clipped_surrogate(ratio, advantages, 0.25)
    assert found.tolist() == [0.5, -0.75, 3.0, 1.25, -2.0]


def test_clipped_value_errors_by_hand():
    values, old = torch.tensor([2.0, 2.0, 1.1]), torch.tensor([1.0, 1.0, 1.0])
    returns = torch.tensor([3.0, 0.0, 1.0])
    plain = ppo.squared_errors(values, old, returns, None)
    assert plain.tolist() == pytest.approx([1, 4, 0.01])
    clipped = ppo.squared_errors(values, old, returns, 0.5)
    assert clipped.tolist() == pytest.approx([1.5**2, 4, 0.01])


@pytest.fixture(params=[LOCATIONS, GRID], ids=["locations", "grid"])
def played(request, toy):
    """A network and a rollout of it on the toy task."""
    task = toy(request.param, ends_early=True)
    network = new_network(task)
    return network, collect(task, network)


def test_the_ratio_is_one_at_first(played):
    network, rollout = played
    config = RecurrentPPOConfig(clip_range=0.01)
    samples = ppo.prepare(rollout, config)
    _, metrics = ppo.losses(network, samples.take(torch.arange(20)), config, 0.0)
    assert abs(metrics["losses/policy_loss"].item()) < 1e-5  # minus the mean of the advantages
    assert abs(metrics["losses/approx_kl"].item()) < 1e-5
    assert metrics["losses/clip_fraction"] == 0


def test_the_ratio_leaves_one_in_later_steps(played):
    network, rollout = played
    config = RecurrentPPOConfig(clip_range=0.01)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    metrics = ppo.update(network, optimiser, rollout, config, 0.0, generator)
    assert metrics["losses/clip_fraction"] > 0.1
    assert metrics["losses/approx_kl"] > 1e-3
