import numpy as np
import pytest
import torch

from gf_env.network.encoders.base import Encoder, Encoding
from gf_env.network.encoders.batching import encode
from gf_env.network.encoders.factory import make_encoder
from tests.helpers.tiny import random_dataset

SIZE = 8
IMAGES = torch.randn(80, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Recorder(Encoder):
    """Keeps how many images it is given at a time; forty are a part."""

    pixels_at_once = 40 * SIZE**2

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.counts = encoder, []

    def forward(self, images):
        self.counts.append(len(images))
        return self.encoder(images)


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Recorder(make_encoder("small-cnn", 1, 3)).eval()


def assert_equal(found, expected):
    assert isinstance(found, Encoding)
    for left, right in zip(found, expected, strict=True):
        assert torch.allclose(left, right, atol=1e-6)


@torch.no_grad()
def test_parts_are_as_the_whole(encoder):
    assert_equal(encode(encoder, IMAGES), encoder.encoder(IMAGES))
    assert encoder.counts == [40, 40]


@pytest.mark.parametrize(
    ("count", "counts"), [(0, [0]), (1, [1]), (40, [40]), (41, [20, 21]), (79, [39, 40])]
)
@torch.no_grad()
def test_parts_are_about_equal(encoder, count, counts):
    found = encode(encoder, IMAGES[:count])
    assert sorted(encoder.counts) == counts
    assert_equal(found, encoder.encoder(IMAGES[:count]))


@torch.no_grad()
def test_a_part_has_32_images_at_least(encoder):
    encoder.pixels_at_once = 1
    encode(encoder, IMAGES)
    assert sorted(encoder.counts) == [26, 27, 27]
    encoder.counts.clear()
    encoder.pixels_at_once = 80 * SIZE**2
    encode(encoder, IMAGES)
    assert encoder.counts == [80]


def test_whole_with_gradients_and_in_training_mode(encoder):
    with torch.no_grad():  # batch normalisation takes the statistics of the whole batch
        encode(encoder.train(), IMAGES)
    encoding = encode(encoder.eval(), IMAGES)
    assert encoder.counts == [80, 80]
    encoding.pooled.sum().backward()
    assert all(value.grad is not None for value in encoder.encoder.layers.parameters())


@torch.no_grad()
def test_a_network_looks_in_parts(tiny_network):
    tiny_network.global_encoder = Recorder(tiny_network.global_encoder).eval()
    tiny_network.local_encoder = Recorder(tiny_network.local_encoder).eval()
    images = random_dataset(80).images(np.arange(80))
    rows = torch.arange(79, -1, -1)
    locations = torch.rand(80, 2, generator=torch.Generator().manual_seed(0))
    glance = tiny_network.encode_glance(images)
    patches = tiny_network.encode_patches(images, locations, rows)
    assert tiny_network.global_encoder.counts == [40, 40]
    assert tiny_network.local_encoder.counts == [40, 40]
    assert_equal(glance, tiny_network.global_encoder.encoder(tiny_network.small(images)))
    cut = tiny_network.patches(images, locations, rows)
    assert_equal(patches, tiny_network.local_encoder.encoder(cut))
