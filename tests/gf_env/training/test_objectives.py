import pytest
import torch
import torch.nn.functional as F
from torch import nn

from agents import PatchProposalConfig, PatchProposalNetwork
from agents.policies.paper import PolicySampler
from gf_env.datasets.batches import Batch
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

    def start(self, batch, features):
        return torch.zeros(len(features), 1)

    def sample(self, features, hidden, generator):
        self.seen.append(features)
        place = self.places[int(hidden[0, 0])]
        return place.expand(len(features), 2), hidden + 1


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
    assert torch.allclose(sampler.seen[0], glance.features)
    assert torch.allclose(sampler.seen[1], first.features)
    assert not any(features.requires_grad for features in sampler.seen)


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
    policy = PatchProposalNetwork(PatchProposalConfig((128, 1, 1), hidden_size=8))
    net = network()
    objective = LooksObjective(net, PolicySampler(policy.eval().requires_grad_(False)), 1.0, True)
    assert set(objective.parameters()) == set(net.parameters())
    assert not [module for module in objective.modules() if module is policy]
    objective(batch, torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None for p in net.local_encoder.parameters())


def test_the_policy_samples_with_the_generator():
    policy = PatchProposalNetwork(PatchProposalConfig((4, 2, 2), action_std=0.05))
    assert isinstance(policy, nn.Module)
    features = torch.rand(1, 4, 2, 2).expand(4000, 4, 2, 2)
    start = policy.initial_state(features)
    draws = [policy.sample(features, start, torch.Generator().manual_seed(3))[0] for _ in range(2)]
    assert torch.equal(draws[0], draws[1])
    assert draws[0].std(0).tolist() == pytest.approx([0.05, 0.05], abs=0.005)
