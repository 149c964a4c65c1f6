import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

from agents.policies.actors import (
    FIRST_STOP,
    GaussianActor,
    GridActor,
    StoppingActor,
    StoppingGridActor,
)


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
    mean, logit = StoppingActor(16, 0.2)(thought).split((2, 1), -1)
    assert (mean - 0.5).abs().max() < 0.05
    assert (logit.sigmoid() - FIRST_STOP).abs().max() < 0.02
    patches, stop = StoppingGridActor(16, 9)(thought).exp().split((9, 1), -1)
    assert (patches - (1 - FIRST_STOP) / 9).abs().max() < 0.02
    assert (stop - FIRST_STOP).abs().max() < 0.02


def test_locations_are_clipped_on_the_way_to_actions_and_indices_are_actions():
    looks = torch.tensor([[-0.5, 0.25], [0.5, 1.5]])
    assert GaussianActor(8, 0.2).to_actions(looks).tolist() == [[-1, -0.5], [0, 1]]
    indices = torch.tensor([0, 8])
    assert torch.equal(GridActor(8, 9).to_actions(indices), indices)
    choices = torch.cat([looks, torch.tensor([[0.2], [-3.0]])], -1)
    assert StoppingActor(8, 0.2).to_actions(choices).tolist() == [[-1, -0.5, 1], [0, 1, -1]]


@pytest.fixture
def stopping():
    actor = StoppingActor(8, 0.3)
    with torch.no_grad():
        actor.log_std.copy_(torch.tensor([0.1, 0.5]).log())
    return actor


def test_stopping_is_a_bernoulli_choice_before_a_gaussian_one(stopping):
    generator = torch.Generator().manual_seed(0)
    mean, logit = torch.rand(3, 5, 2, generator=generator), torch.randn(3, 5, generator=generator)
    choice = torch.cat([mean, logit[..., None]], -1)
    chosen = torch.randn(3, 5, 3, generator=generator)
    stops = chosen[..., 2] > 0
    assert 0 < stops.float().mean() < 1
    whether, where = Bernoulli(logits=logit), Normal(mean, torch.tensor([0.1, 0.5]))
    density = where.log_prob(chosen[..., :2]).sum(-1)
    expected = whether.log_prob(stops.float()) + torch.where(stops, 0, density)
    assert torch.allclose(stopping.log_prob(choice, chosen), expected, atol=1e-4)
    expected = whether.entropy() + (1 - whether.probs) * where.entropy().sum(-1)
    assert torch.allclose(stopping.entropy(choice), expected, atol=1e-6)


def test_samples_stop_as_often_as_they_should(stopping):
    choice = torch.tensor([0.25, 0.75, math.log(0.3 / 0.7)]).expand(20_000, -1)
    samples = stopping.sample(choice, torch.Generator().manual_seed(0))
    assert {*samples[:, 2].tolist()} == {-1, 1}
    assert samples[:, 2].gt(0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    looks = samples[samples[:, 2] < 0, :2]
    assert looks.mean(0).tolist() == pytest.approx([0.25, 0.75], abs=0.02)
    assert looks.std(0).tolist() == pytest.approx([0.1, 0.5], rel=0.03)


def test_what_certainly_stops_or_never_does_has_finite_gradients():
    for actor, chosen in (
        (StoppingActor(8, 0.3), torch.tensor([[0.5, 0.5, 1.0], [0.5, 0.5, -1.0]])),
        (StoppingGridActor(8, 9), torch.tensor([9, 0])),
    ):
        for logit in (-80.0, 80.0):
            actor.zero_grad()
            torch.nn.init.constant_(actor.stop.bias, logit)
            choice = actor(torch.ones(2, 8))
            (actor.log_prob(choice, chosen) + actor.entropy(choice)).sum().backward()
            assert all(each.grad.isfinite().all() for each in actor.parameters() if each.numel())


def test_on_a_grid_stopping_is_one_action_more():
    actor, generator = StoppingGridActor(8, 9), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(actor.linear.weight, generator=generator)
    torch.nn.init.normal_(actor.stop.weight, generator=generator)
    thought = torch.randn(2, 8, generator=generator)
    log_probs = actor(thought)
    assert torch.allclose(log_probs[:, 9:], actor.stop(thought).sigmoid().log(), atol=1e-6)
    where = Categorical(logits=log_probs[:, :9]).logits
    assert torch.allclose(where, actor.linear(thought).log_softmax(-1), atol=1e-6)
    samples = actor.sample(log_probs[:1].expand(20_000, -1), generator)
    shares = torch.bincount(samples, minlength=10) / 20_000
    assert torch.allclose(shares, log_probs[0].exp(), atol=0.012)
    expected = Categorical(logits=log_probs)
    assert torch.allclose(actor.entropy(log_probs), expected.entropy(), atol=1e-6)


def test_the_likeliest_action_stops_where_that_is_likelier_than_all_looks():
    grid, locations = StoppingGridActor(8, 4), StoppingActor(8, 0.2)
    probabilities = torch.tensor([[0.1, 0.2, 0.15, 0.1, 0.45], [0.4, 0.05, 0.02, 0.02, 0.51]])
    assert grid.likeliest(probabilities.log()).tolist() == [1, 4]
    choice = torch.tensor([[0.2, 0.3, -0.1], [0.2, 0.3, 0.1]])
    assert (locations.likeliest(choice)[:, 2] > 0).tolist() == [False, True]


def test_to_rule_patches_out_makes_stopping_no_likelier():
    actor, thought = StoppingGridActor(8, 4), torch.randn(2, 8)
    ruled_out = torch.tensor([True, False, True, False]).expand(2, -1)
    before, after = actor(thought), actor(thought, ruled_out)
    assert torch.equal(after[:, 4], before[:, 4])
    assert (after[:, [0, 2]].exp() == 0).all()
    assert torch.allclose(after.exp().sum(-1), torch.ones(2))
