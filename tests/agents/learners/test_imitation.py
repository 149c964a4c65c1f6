import math

import pytest
import torch

import agents
from agents.learners import imitation
from agents.learners.imitation import ImitationConfig
from gf_env.envs import episodes
from gf_env.envs.actions import Look
from tests.agents.learners.toy import GRID, first_images, train


@pytest.fixture
def task(toy):
    return toy(GRID)


def collect(task, beta=0.0, count=64):
    learner = imitation.ImitationLearner(task, ImitationConfig(hidden_size=8, seed=1))
    network, generator = learner.policy().network, torch.Generator().manual_seed(0)
    batch = first_images(task, count)
    return network, imitation.collect(task, network, agents.GreedyOracle(3), batch, beta, generator)


@pytest.mark.parametrize(
    ("loss", "confidences", "expected"),
    [
        ("cross_entropy", [0.1, 0.7, 0.2], math.log(4)),
        # at this temperature the target is (1, 3, 0) / 4
        ("soft", [0.0, 0.5 * math.log(3), -50.0], 0.25 * math.log(2) + 0.75 * math.log(4)),
        ("expected", [0.0, 0.8, 0.4], 0.8 - 0.3),
    ],
)
def test_losses_by_hand(loss, confidences, expected):
    log_probs = torch.tensor([[0.5, 0.25, 0.25]]).log()
    found = imitation.LOSSES[loss](log_probs, torch.tensor([confidences]), 0.5)
    assert found.tolist() == pytest.approx([expected])


def test_cold_soft_targets_are_the_best_patch():
    log_probs, confidences = torch.randn(4, 5, 9).log_softmax(-1), torch.rand(4, 5, 9)
    soft = imitation.soft_cross_entropy(log_probs, confidences, 1e-6)
    assert torch.allclose(soft, imitation.cross_entropy(log_probs, confidences, 1.0), atol=1e-3)


def test_stakes_by_hand():
    found = imitation.stakes(torch.tensor([[0.1, 0.7, 0.1], [0.9, 0.9, 0.9]]))
    assert found.tolist() == pytest.approx([0.4, 0.0], abs=1e-6)


def test_the_teacher_fades(task):
    shares = [imitation.teachers_share(progress, 0.8, 0.5) for progress in (0, 0.25, 0.5, 0.9)]
    assert shares == pytest.approx([0.8, 0.4, 0, 0])
    assert imitation.teachers_share(0.0, 0.8, 0.0) == 0
    _, seen = train("imitation", task, updates=4, beta=1.0, beta_until=0.5, gradient_steps=1)
    assert [update.metrics["charts/beta"] for update in seen] == pytest.approx([1, 0.5, 0, 0])


def test_the_teacher_acts_with_probability_beta(task):
    _, own = collect(task, beta=0.0, count=500)
    _, mixed = collect(task, beta=0.5, count=500)
    _, taught = collect(task, beta=1.0, count=500)
    by_chance = own.rewards[0].gt(0).float().mean().item()
    assert taught.rewards[0].gt(0).all()
    expected = 0.5 + 0.5 * by_chance
    assert mixed.rewards[0].gt(0).float().mean().item() == pytest.approx(expected, abs=0.06)
    assert by_chance < 0.4


def test_the_teacher_speaks_of_every_state_visited(task):
    """And says what a step there then brings."""
    _, lessons = collect(task)
    state = task.reset(*first_images(task, 64))
    for patch, location in enumerate(task.actions.lattice.locations()):
        after, _, _ = task.step(state, Look(location.expand(64, 2)))
        confidence = episodes.readout(after).confidence
        assert torch.allclose(lessons.confidences[0, :, patch], confidence, atol=1e-6)
    sure = 1 / (1 + math.exp(-6))
    found = lessons.rewards.cumsum(0)[:-1] > 0
    assert torch.allclose(lessons.confidences[1:].amin(-1)[found], torch.tensor(sure))
    assert torch.allclose(lessons.confidences.amax(-1), torch.tensor(sure))


def test_agreement_is_a_likeliest_patch_as_good_as_the_best(task):
    network, lessons = collect(task)
    log_probs, _ = network.replay(lessons.perceived)
    likeliest = lessons.confidences.gather(2, log_probs.argmax(2)[..., None])[..., 0]
    assert torch.equal(likeliest >= lessons.confidences.amax(2) - 0.01, lessons.agreed)


@pytest.mark.parametrize("loss", imitation.LOSSES)
def test_patches_that_are_ruled_out_are_no_advice(task, loss):
    """Whatever the teacher says of a patch that has been looked at, the loss is the same."""
    config = ImitationConfig(loss=loss, weighted=False)
    network, lessons = collect(task)
    log_probs, _ = network.replay(lessons.perceived)
    ruled_out = log_probs < -100
    assert ruled_out.sum(-1).tolist() == [[step] * 64 for step in range(3)]
    louder = lessons._replace(confidences=torch.where(ruled_out, 1.0, lessons.confidences))
    value, _ = imitation.losses(network, lessons, config)
    assert value.item() == pytest.approx(imitation.losses(network, louder, config)[0].item())
    assert 0 < value < 10


def test_learns_from_batches_that_were_kept(task, monkeypatch):
    used = []
    losses = imitation.losses

    def watched(network, lessons, config):
        used.append(lessons)
        return losses(network, lessons, config)

    monkeypatch.setattr(imitation, "losses", watched)
    train("imitation", task, updates=8, kept_batches=3, gradient_steps=5)
    newest = used[::5]
    assert len(used) == 40
    assert len({id(lessons) for lessons in newest}) == 8
    for number in range(8):
        allowed = {id(lessons) for lessons in newest[max(0, number - 2) : number + 1]}
        assert {id(lessons) for lessons in used[5 * number : 5 * number + 5]} <= allowed
    assert {id(lessons) for lessons in used[-4:]} != {id(newest[-1])}
