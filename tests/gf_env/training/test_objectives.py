import numpy as np
import pytest
import torch
import torch.nn.functional as F

from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.policies.sampler import PolicySampler
from gf_env.datasets.batches import Batch
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from gf_env.envs.observations import EXTRA_OBSERVATIONS as EXTRA
from gf_env.envs.observations import observation_tensors
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.training.objectives import LooksObjective
from gf_env.training.samplers import UniformSampler
from tests.helpers.tiny import random_dataset, tiny_config


@pytest.fixture
def batch():
    dataset = random_dataset(count=6)
    return Batch(dataset.images(range(6)), torch.from_numpy(dataset.labels), torch.arange(6))


def network(**changes):
    torch.manual_seed(0)
    return GlanceFocusNet(tiny_config(sequence_length=3, **changes))


class Fixed:
    """Always the same two places; keeps the feature maps it was shown."""

    places = torch.tensor([[0.0, 1.0], [0.5, 0.25]])

    def __init__(self):
        self.seen = []

    def start(self, batch):
        return torch.zeros(len(batch.labels), 1)

    def sample(self, looked, hidden, generator):
        self.seen.append(looked)
        place = self.places[int(hidden[0, 0])]
        return place.expand(len(hidden), 2), hidden + 1


def test_the_loss_by_hand(batch):
    images, labels, _ = batch
    net, sampler = network(), Fixed()
    objective = LooksObjective(net, sampler, auxiliary_weight=5.0, train_global_encoder=True).eval()
    loss = objective(batch, torch.Generator())
    glance = net.glance(images)
    first = net.focus(images, Fixed.places[0].expand(6, 2), glance.hidden)
    second = net.focus(images, Fixed.places[1].expand(6, 2), first.hidden)
    main = sum(F.cross_entropy(look.logits, labels) for look in (glance, first, second))
    own = F.cross_entropy(net.global_encoder.own_logits(glance.pooled), labels)
    own = own + sum(
        F.cross_entropy(net.local_encoder.own_logits(look.pooled), labels)
        for look in (first, second)
    )
    assert loss.item() == pytest.approx(((main + 5 * own) / 3).item(), rel=1e-5)
    task = make_task(network=net.eval(), dataset=random_dataset(count=6), sequence_length=3)
    state = task.start(np.arange(6))
    for looked, place in zip(sampler.seen, Fixed.places, strict=True):
        # a policy sees what it would see in an environment
        shown, expected = (observation_tensors(each, EXTRA) for each in (looked, state))
        assert shown.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(shown[name], value, msg=name)
            assert not shown[name].requires_grad
        state, _, _ = task.step(state, Look(place.expand(6, 2)))


@pytest.mark.parametrize("frozen", ["global_encoder", "local_encoder"])
def test_an_encoder_that_is_not_trained(batch, frozen):
    net = network(classifier="cascaded", first_step="own_head")
    trained = {f"train_{name}": name != frozen for name in ("global_encoder", "local_encoder")}
    objective = LooksObjective(net, UniformSampler(), 5.0, **trained).train()
    encoder = getattr(net, frozen)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    objective(batch, torch.Generator().manual_seed(0)).backward()
    assert [net.global_encoder.training, net.local_encoder.training] == list(trained.values())
    assert all(p.grad is None for p in encoder.parameters())
    assert all(p.grad is not None for p in net.classifier.parameters())
    after = encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_policy_is_no_part_of_what_is_trained(batch):
    policy = PaperPolicy(PatchProposalNetwork(PatchProposalConfig((128, 1, 1), hidden_size=8)))
    policy.network.requires_grad_(False)
    net = network().eval()
    objective = LooksObjective(net, PolicySampler(policy, net), 1.0, True)
    assert set(objective.parameters()) == set(net.parameters())
    assert not [module for module in objective.modules() if module is policy.network]
    objective(batch, torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None for p in net.local_encoder.parameters())
