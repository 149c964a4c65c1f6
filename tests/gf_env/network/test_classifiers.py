"""Both classifiers, and what each family says after the glance."""

import numpy as np
import pytest
import torch
from torch import nn

from gf_env.envs.make_task import make_task
from gf_env.evaluation import evaluate
from gf_env.network.classifiers import CascadedClassifier
from gf_env.network.glance_focus_net import GlanceFocusNet
from tests.helpers.policies import Recorder
from tests.helpers.tiny import random_dataset, random_network, tiny_config

CASCADED = {"classifier": "cascaded", "first_step": "own_head"}


@pytest.fixture
def cascade():
    torch.manual_seed(0)
    return CascadedClassifier(num_features=4, sequence_length=3, num_classes=2)


def test_a_cascade_sees_all_pooled_vectors_so_far(cascade):
    pooled = torch.rand(3, 5, 4)
    state = cascade.advance(pooled[0], cascade.initial_state(pooled[0]))
    logits, state = cascade(pooled[1], state)
    assert torch.allclose(logits, cascade.heads["2"](torch.cat([pooled[0], pooled[1]], dim=1)))
    logits, state = cascade(pooled[2], state)
    assert torch.allclose(logits, cascade.heads["3"](torch.cat(list(pooled), dim=1)))
    assert state[:, 0].tolist() == [3] * 5


def test_episodes_of_a_cascade_may_be_at_different_steps(cascade):
    first, second, third = torch.rand(3, 2, 4)
    start = cascade.advance(first, cascade.initial_state(first))
    later = cascade.advance(second, start)
    mixed = torch.stack([start[0], later[1]])
    logits, state = cascade(third, mixed)
    assert torch.allclose(logits[0], cascade(third, start)[0][0])
    assert torch.allclose(logits[1], cascade(third, later)[0][1])
    assert state[:, 0].tolist() == [2, 3]
    # as they are on a GPU, without asking which layers are needed
    assert torch.allclose(cascade._every_head(state[:, 0].long(), state), logits, atol=1e-6)
    assert cascade(third[:0], mixed[:0])[0].shape == (0, 2)


def test_a_cascade_learns(cascade):
    after_glance = cascade.advance(torch.rand(2, 4), torch.zeros(2, 13))
    cascade(torch.rand(2, 4), after_glance)[0].sum().backward()
    assert cascade.heads["2"].weight.grad.abs().sum() > 0
    assert cascade.heads["3"].weight.grad is None


@pytest.mark.parametrize("changes", [{}, CASCADED])
def test_every_look_from_every_state(changes):
    classifier = random_network(sequence_length=4, **changes).classifier
    glance, looks = torch.rand(3, 128), torch.rand(3, 5, 128)
    start = classifier.advance(glance, classifier.initial_state(glance))
    states = [classifier.advance(looks[:, look], start) for look in (0, 3)]
    logits = classifier.logits_of_each(looks, torch.stack(states, dim=1))
    assert logits.shape == (3, 2, 5, 3)
    for look in range(5):
        for number, state in enumerate(states):
            expected, _ = classifier(looks[:, look], state)
            assert torch.allclose(logits[:, number, look], expected, atol=1e-6)


def networks_first_logits(training=False, **changes):
    torch.manual_seed(0)
    network = GlanceFocusNet(tiny_config(**changes)).train(training)
    for module in network.modules():  # both modes shall see the same numbers
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    glimpse = network.glance(random_dataset(count=3).images(np.arange(3)))
    own = network.global_encoder.own_logits(glimpse.pooled)
    return network, glimpse, own


@pytest.mark.parametrize("training", [True, False])
def test_first_step_by_the_classifier(training):
    network, glimpse, own = networks_first_logits(training)
    assert torch.equal(glimpse.logits, network.classifier.fc(glimpse.hidden))
    assert not torch.equal(glimpse.logits, own)


def test_first_step_by_the_own_head_at_inference_only():
    changes = {"first_step": "own_head_at_inference"}
    network, glimpse, own = networks_first_logits(**changes)
    assert torch.equal(glimpse.logits, own)
    advanced = network.classifier.rnn(glimpse.pooled, torch.zeros(3, 6))
    assert torch.equal(glimpse.hidden, advanced)  # the GRU goes on all the same
    network, glimpse, own = networks_first_logits(training=True, **changes)
    assert torch.equal(glimpse.logits, network.classifier.fc(glimpse.hidden))


@pytest.mark.parametrize("training", [True, False])
def test_first_step_of_a_cascade(training):
    _, glimpse, own = networks_first_logits(training, **CASCADED)
    assert torch.equal(glimpse.logits, own)


def test_costs_of_a_cascade_grow():
    network = GlanceFocusNet(tiny_config(**CASCADED))
    steps = network.step_cost.steps
    encoder = steps[0] - 128 * 3
    assert steps == tuple(encoder + max(1, looks) * 128 * 3 for looks in (1, 2, 3, 4, 5))
    assert network.step_cost.cumulative(2) == [steps[0], steps[0] + steps[1]]


def test_an_environment_around_a_cascade(tiny_dataset):
    arguments = {"network": random_network(**CASCADED), "dataset": tiny_dataset}
    task = make_task(**arguments)
    assert task.observation_space["hidden_state"].shape == (1 + 5 * 128,)
    assert evaluate(Recorder(), **arguments).confidence.shape == (20, 5)
    with pytest.raises(ValueError, match="made for 5 steps cannot take 6"):
        make_task(**arguments, sequence_length=6)
