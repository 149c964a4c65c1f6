import numpy as np
import pytest
import torch
from torch import nn

import agents
from gf_env.evaluation import evaluate
from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet
from tests.agents.policies.made import patch_corners, play
from tests.helpers.tiny import random_dataset, tiny_config

# a glance of 24 pixels makes a map of 3 x 3 cells, whose centres are at 16, 48 and 80 of 96 pixels
CORNERS = [[row, col] for row in (4, 36, 68) for col in (4, 36, 68)]


def make_network(image_size=96):
    """Class a likes the first channel, class b the second."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = GlanceFocusNet(tiny_config(image_size=image_size, patch_size=24)).eval()
    head = network.requires_grad_(False).global_encoder.head
    head.weight.zero_()
    head.bias.zero_()
    head.weight[0, 0] = head.weight[1, 1] = 1
    return network


@pytest.fixture
def network():
    return make_network()


def observation(*maps):
    """Of glances whose first channels are (3, 3) maps and whose others are empty."""
    glance = np.zeros((len(maps), 128, 3, 3), np.float32)
    for row, channels in zip(glance, maps, strict=True):
        row[: len(channels)] = channels
    return {"glance": glance, "hidden_state": np.zeros((len(maps), 6), np.float32)}


def test_looks_at_the_peak_of_the_predicted_class(network):
    seen = observation(
        [[[0, 0, 5], [0, 4, 0], [0, 0, 0]], [[2, 0, 0], [0, 0, 0], [0, 0, 0]]],
        [[[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0], [2, 3, 0]]],
    )
    policy = agents.SaliencyPolicy(network)
    actions, state = policy.predict(seen, None, np.ones(2, bool))
    assert patch_corners(actions) == [[4, 68], [68, 36]]
    assert policy.activation(seen["glance"])[1].tolist() == [0, 0, 0, 0, 0, 0, 2, 3, 0]
    assert state.nonzero()[1].tolist() == [2, 7]
    actions, _ = policy.predict(seen, state, np.zeros(2, bool))
    assert patch_corners(actions) == [[36, 36], [68, 4]]  # the second highest cells
    actions, _ = policy.predict(seen, state, np.array([False, True]))
    assert patch_corners(actions) == [[36, 36], [68, 36]]  # an episode that starts forgets


def test_takes_all_cells_from_the_highest_and_starts_again(network):
    ranks = np.array([[3, 8, 1], [7, 0, 5], [2, 6, 4]])
    actions, _ = play(agents.SaliencyPolicy(network), observation([ranks]), 10)
    order = np.argsort(-ranks.ravel())
    assert patch_corners(actions[:, 0]) == [CORNERS[cell] for cell in [*order, order[0]]]


def test_stays_at_the_peak_where_it_may_repeat(network):
    seen = observation([[[0, 0, 0], [0, 0, 0], [0, 0, 9]]])
    actions, _ = play(agents.SaliencyPolicy(network, repeat=True), seen, 3)
    assert patch_corners(actions[:, 0]) == [[68, 68]] * 3


def test_patches_stay_in_the_image_and_cover_several_cells():
    """Centres at 6, 18 and 30 of 36 pixels; patches of 24 start at -6, hence 0, and at 6."""
    policy = agents.SaliencyPolicy(make_network(image_size=36))
    seen = observation(*[[np.eye(9)[cell].reshape(3, 3)] for cell in (0, 4)])
    actions, covered = policy.predict(seen)
    assert patch_corners(actions, 36, 24) == [[0, 0], [6, 6]]
    # pixels 0 to 23 and 6 to 29, without 30
    assert covered.astype(int).tolist() == [[1, 1, 0, 1, 1, 0, 0, 0, 0]] * 2


def test_predicts_what_the_encoders_own_head_does(network):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        nn.init.normal_(network.global_encoder.head.weight)
    policy = agents.SaliencyPolicy(network)
    features, pooled = network.global_encoder(torch.randn(50, 1, 24, 24))
    prediction = network.global_encoder.own_logits(pooled).argmax(1)
    weight = network.global_encoder.head.weight[prediction]
    expected = torch.einsum("nc,nchw->nhw", weight, features).flatten(1)
    assert np.allclose(policy.activation(features.numpy()), expected.numpy(), atol=1e-4)


class PooledEncoder(Encoder):
    """A convolution whose map becomes a vector as `pool` says."""

    num_features = 5

    def __init__(self, pool, width=5, bias=True):
        super().__init__()
        self.layer, self.pool = nn.Conv2d(1, 5, 8, 8), pool
        self.head = nn.Linear(width, 3, bias=bias)

    def forward(self, images):
        features = self.layer(images)
        return Encoding(features, self.pool(features))

    @property
    def own_head(self):
        return self.head


def test_mean_pooling(network):
    """Without a bias the class's logit is the mean of its map."""
    network.global_encoder = PooledEncoder(lambda map_: map_.mean((2, 3)), bias=False)
    features, pooled = network.global_encoder(torch.randn(20, 1, 24, 24))
    logits = network.global_encoder.own_logits(pooled).max(1).values
    activation = agents.SaliencyPolicy(network).activation(features.detach().numpy())
    assert np.allclose(activation.mean(axis=1), logits.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "width"),
    [
        (lambda map_: torch.cat([map_.mean((2, 3))] * 2, dim=1), 10),
        (lambda map_: map_.mean((2, 3)) ** 2, 5),
    ],
)
def test_encoders_with_something_after_the_map_are_refused(network, pool, width):
    network.global_encoder = PooledEncoder(pool, width)
    with pytest.raises(ValueError, match=rf"mean or the maximum.*{width} features of 5 channels"):
        agents.SaliencyPolicy(network)


def test_other_refusals(network):
    network.global_encoder.head = nn.Identity()
    with pytest.raises(ValueError, match="linear layer, got Identity"):
        agents.SaliencyPolicy(network)
    with pytest.raises(ValueError, match=r"network.eval\(\)"):
        agents.SaliencyPolicy(network.train())


def test_runs_in_an_evaluation_and_looks_at_four_cells(network):
    policy = agents.SaliencyPolicy(network)
    assert isinstance(policy, agents.Policy)
    assert policy.multiply_adds == 3 * 128 + 128 * 9
    run = evaluate(
        policy, network=network, dataset=random_dataset(size=96), sequence_length=5, batch_size=7
    )
    for episode in run.locations:
        places = patch_corners(episode * 2 - 1)
        assert all(place in CORNERS for place in places)
        assert len({tuple(place) for place in places}) == 4
