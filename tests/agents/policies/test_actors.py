import pytest
import torch
from torch.distributions import Categorical, Normal

from agents.policies.actors import GaussianActor, GridActor


@pytest.fixture
def gaussian():
    actor = GaussianActor(8, 0.3)
    with torch.no_grad():
        actor.log_std.copy_(torch.tensor([0.1, 0.5]).log())
    return actor


def test_density_and_entropy_of_the_gaussian_are_torchs(gaussian):
    mean, chosen = torch.rand(3, 5, 2), torch.randn(3, 5, 2)
    expected = Normal(mean, torch.tensor([0.1, 0.5]))
    found = gaussian.log_prob(mean, chosen)
    assert torch.allclose(found, expected.log_prob(chosen).sum(-1), atol=1e-4)
    assert torch.allclose(gaussian.entropy(mean), expected.entropy().sum(-1))


def test_samples_of_the_gaussian_are_not_clipped(gaussian):
    samples = gaussian.sample(torch.ones(20_000, 2), torch.Generator().manual_seed(0))
    assert samples.mean(0).tolist() == pytest.approx([1, 1], abs=0.02)
    assert samples.std(0).tolist() == pytest.approx([0.1, 0.5], rel=0.03)


def test_choices_on_a_grid_are_categorical():
    actor, generator = GridActor(8, 9), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(actor.linear.weight, generator=generator)
    log_probs = actor(torch.randn(2, 8, generator=generator))
    expected = Categorical(logits=log_probs)
    chosen = torch.tensor([3, 8])
    assert torch.allclose(actor.log_prob(log_probs, chosen), expected.log_prob(chosen))
    assert torch.allclose(actor.entropy(log_probs), expected.entropy(), atol=1e-6)
    many = log_probs[:1].expand(20_000, -1)
    samples = actor.sample(many, generator)
    shares = torch.bincount(samples, minlength=9) / 20_000
    assert torch.allclose(shares, log_probs[0].exp(), atol=0.012)
    assert torch.equal(actor.likeliest(log_probs), log_probs.argmax(-1))


def test_actors_begin_with_every_choice_open():
    thought = torch.randn(50, 16)
    assert (GaussianActor(16, 0.2)(thought) - 0.5).abs().max() < 0.05
    assert (GridActor(16, 9)(thought).exp() - 1 / 9).abs().max() < 0.02


def test_locations_are_clipped_on_the_way_to_actions_and_indices_are_actions():
    looks = torch.tensor([[-0.5, 0.25], [0.5, 1.5]])
    assert GaussianActor(8, 0.2).to_actions(looks).tolist() == [[-1, -0.5], [0, 1]]
    indices = torch.tensor([0, 8])
    assert torch.equal(GridActor(8, 9).to_actions(indices), indices)
