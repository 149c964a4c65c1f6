import pytest
import torch
from torch.distributions import Normal

from agents.learners import paper_ppo
from agents.learners.paper_ppo import PaperPPOConfig
from agents.learners.returns import discounted_returns, normalise
from agents.policies.paper import PatchProposalConfig, PatchProposalNetwork
from gf_env.envs.make_task import make_task
from tests.agents.learners.toy import first_images


@pytest.fixture
def rollout(tiny_network, tiny_dataset):
    task = make_task(network=tiny_network, dataset=tiny_dataset)
    config = PatchProposalConfig((128, 1, 1), hidden_size=16)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        policy = PatchProposalNetwork(config)
    generator = torch.Generator().manual_seed(0)
    return policy, paper_ppo.collect(task, policy, first_images(task, 8), generator)


def test_the_ratio_is_one_so_that_the_update_is_a_plain_policy_gradient(rollout):
    policy, batch = rollout
    config = PaperPPOConfig()
    returns = normalise(discounted_returns(batch.rewards, config.gamma))
    log_probs, values = paper_ppo.evaluate_actions(policy, batch)
    assert torch.allclose(log_probs, batch.log_probs, atol=1e-4)
    advantages = returns - values.detach()
    loss = -(log_probs * advantages).mean() + 0.5 * (values - returns).square().mean()
    loss.backward()
    expected = [parameter.grad.clone() for parameter in policy.parameters()]
    paper_ppo.update(policy, torch.optim.SGD(policy.parameters(), 0.0), batch, config)
    for parameter, gradient in zip(policy.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-5)


def test_locations_are_clipped_and_their_densities_are_of_the_clipped_values(rollout):
    policy, batch = rollout
    assert batch.locations.min() >= 0
    assert batch.locations.max() <= 1
    assert batch.features.shape == (4, 8, 128, 1, 1)
    mean, _, _ = policy(batch.features[0], policy.initial_state(batch.features[0]))
    expected = Normal(mean, 0.1).log_prob(batch.locations[0]).sum(-1)
    assert torch.allclose(batch.log_probs[0], expected, atol=1e-4)
