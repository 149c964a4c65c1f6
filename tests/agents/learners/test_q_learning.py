import pytest
import torch

from agents.learners import q_learning
from agents.learners.on_policy import collect
from tests.agents.learners.toy import GRID, LEARNERS, first_images, train


@pytest.fixture(scope="module")
def learned(toy):
    """A policy after some updates, and episodes that it ran."""
    task = toy(GRID)
    policy, _ = train("map_q", task, updates=10, dropout=0.0)
    network = policy.network
    generator = torch.Generator().manual_seed(0)
    return network, collect(task, network, first_images(task, 64), generator)


def config(gamma):
    return LEARNERS["map_q"].config(gamma=gamma, temperature=0.2)


def of_every_action(network, rollout):
    """Values of all actions by hand, (A, n, 9), and the policy's probabilities of them."""
    log_probs, values = network.replay(rollout.perceived)
    share = torch.where(values > 0.02, values, 0.02)
    return values[..., None] + 0.2 * share[..., None] * log_probs, log_probs.exp()


def test_an_action_falls_short_of_a_states_value_by_a_share_of_it(learned):
    network, rollout = learned
    worth, _ = of_every_action(network, rollout)
    worth = worth.gather(-1, rollout.actions[..., None])[..., 0].detach()
    assert worth.std() > 0.01
    for off in (0.0, 0.3):
        shifted = rollout._replace(rewards=worth + off)
        _, metrics = q_learning.losses(network, network, shifted, config(gamma=0.0))
        assert metrics["losses/loss"].item() == pytest.approx(off**2, abs=1e-6)


def test_after_an_action_comes_what_the_policy_is_worth(learned):
    network, rollout = learned
    worth, probabilities = of_every_action(network, rollout)
    after = (probabilities * worth).sum(-1)[1:].detach()
    worth = worth.gather(-1, rollout.actions[..., None])[..., 0].detach()
    assert rollout.active.all()
    rewards = torch.cat([worth[:-1] - 0.5 * after, worth[-1:]])
    exact = rollout._replace(rewards=rewards)
    _, metrics = q_learning.losses(network, network, exact, config(gamma=0.5))
    assert metrics["losses/loss"].item() == pytest.approx(0, abs=1e-6)
    _, metrics = q_learning.losses(network, network, exact, config(gamma=0.0))
    assert metrics["losses/loss"].item() > 1e-3
