import math

import pytest
import torch

from agents.learners import reinforce
from agents.learners.on_policy import Rollout
from agents.learners.reinforce import ReinforceConfig
from agents.policies.recurrent_network import RecurrentPolicyConfig, RecurrentPolicyNetwork


def constant_network(value, grid_size=None, std=0.5):
    """Whatever it sees: the image's centre or any patch of a grid, and that value."""
    config = RecurrentPolicyConfig({"step": (1,)}, grid_size, hidden_size=4, std=std)
    network = RecurrentPolicyNetwork(config)
    with torch.no_grad():
        for layer in (network.actor.linear, network.critic):
            layer.weight.zero_()
            layer.bias.zero_()
        network.critic.bias.fill_(value)
    return network


def two_steps(actions):
    """Returns are 2 and 3, then 2; with a discount of 1/2. The second episode ends at once."""
    return Rollout(
        perceived={"step": torch.tensor([[1.0, 1.0], [2.0, 2.0]])[..., None]},
        actions=torch.tensor(actions),
        log_probs=torch.zeros(2, 2),
        values=torch.zeros(2, 2),
        rewards=torch.tensor([[1.0, 3.0], [2.0, 9.0]]),
        active=torch.tensor([[True, True], [True, False]]),
        correct=torch.tensor([True, False]),
        looks=torch.tensor([3, 2]),
    )


LOCATIONS = [[(0.9, 0.5), (0.1, 0.5)], [(0.5, 0.1), (0.9, 0.9)]]
"""All 0.4 from the centre but the last, which comes after the end."""


def test_loss_and_gradient_by_hand():
    network, config = constant_network(1.0), ReinforceConfig(gamma=0.5, vf_coef=0.5, ent_coef=0.1)
    loss, metrics = reinforce.losses(network, two_steps(LOCATIONS), config, config.ent_coef)
    # advantages over a value of 1 are 1 and 2, then 1
    log_prob = -0.5 * 0.8**2 - 2 * math.log(0.5) - math.log(2 * math.pi)
    policy_loss, value_loss = -(1 + 2 + 1) * log_prob / 3, (1 + 4 + 1) / 3
    entropy = 2 * math.log(0.5) + math.log(2 * math.pi * math.e)
    assert {name: value.item() for name, value in metrics.items()} == pytest.approx(
        {
            "losses/policy_loss": policy_loss,
            "losses/value_loss": value_loss,
            "losses/entropy": entropy,
            "losses/loss": policy_loss + 0.5 * value_loss - 0.1 * entropy,
            "losses/explained_variance": 0.0,
        },
        abs=1e-6,
    )
    loss.backward()
    # by the bias, a mean of sigmoid(0) moves at 1/4 and its log-density at distance / std^2 / 4,
    # the distance itself; a log-density moves by log(std) at (distance / std)^2 - 1
    actor = network.actor
    assert actor.linear.bias.grad.tolist() == pytest.approx(
        [-(1 * 0.4 - 2 * 0.4) / 3, -(1 * -0.4) / 3], abs=1e-6
    )
    near, far = -1.0, 0.8**2 - 1
    assert actor.log_std.grad.tolist() == pytest.approx(
        [-(1 * far + 2 * far + 1 * near) / 3 - 0.1, -(1 * near + 2 * near + 1 * far) / 3 - 0.1]
    )
    assert network.critic.bias.grad.tolist() == pytest.approx([0.5 * 2 * (-1 - 2 - 1) / 3])


def test_gradient_on_a_grid_by_hand():
    network = constant_network(1.0, grid_size=2)
    rollout = two_steps([[0, 3], [1, 2]])
    loss, _ = reinforce.losses(network, rollout, ReinforceConfig(gamma=0.5), 0.01)
    loss.backward()
    # a log-probability moves by its own logit at 1 - 1/4, by others at -1/4
    share = (1 + 2 + 1) / 4
    expected = [-(1 - share) / 3, -(1 - share) / 3, share / 3, -(2 - share) / 3]
    assert network.actor.linear.bias.grad.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("baseline", "advantages"), [("batch_mean", (-0.5, 0.5, 0.0)), ("none", (2.0, 3.0, 2.0))]
)
def test_without_a_learned_baseline(baseline, advantages):
    network, config = constant_network(1.0), ReinforceConfig(gamma=0.5, baseline=baseline)
    loss, metrics = reinforce.losses(network, two_steps(LOCATIONS), config, config.ent_coef)
    loss.backward()
    first, second, third = advantages
    assert network.actor.linear.bias.grad.tolist() == pytest.approx(
        [-0.4 * (first - second) / 3, 0.4 * third / 3], abs=1e-6
    )
    assert network.critic.bias.grad is None
    assert metrics.keys() == {f"losses/{name}" for name in ("loss", "policy_loss", "entropy")}


def test_an_update_is_one_step_along_the_gradient():
    network, rollout = constant_network(1.0), two_steps(LOCATIONS)
    optimiser = torch.optim.SGD(network.parameters(), 1.0)
    reinforce.update(
        network, optimiser, rollout, ReinforceConfig(gamma=0.5, max_grad_norm=None), 0.01
    )
    assert network.actor.linear.bias.tolist() == pytest.approx([-0.4 / 3, -0.4 / 3], abs=1e-6)
    assert network.critic.bias.tolist() == pytest.approx([1 + 4 / 3])
