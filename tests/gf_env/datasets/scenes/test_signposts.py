import numpy as np
import pytest
import torch

from gf_env.datasets.scenes.signposts import _CHANNELS, _SIGNS, LEVELS, PATTERNS, SIGN_SIZE
from tests.helpers.tiny import random_network


@pytest.fixture(params=LEVELS, ids=lambda kind: kind.name)
def kind(request):
    return request.param


def test_blocks_of_all_patterns_have_one_mean():
    blocks = _SIGNS.reshape(len(PATTERNS), 3, 4, 3, 4).mean(axis=(2, 4))
    assert len(np.unique(blocks)) == 1
    assert len(np.unique(_SIGNS, axis=0)) == len(PATTERNS)


def test_the_glance_does_not_tell_the_pattern(kind):
    """Scenes that differ in nothing but the pattern, as the network sees them."""
    scenes, truth = kind.render("test", np.arange(50)), kind.truth("test", np.arange(50))
    spec = kind.spec
    colour = {"channels": spec.channels, "mean": spec.mean, "std": spec.std}
    network = random_network(
        image_size=spec.image_size, patch_size=24, glance_interpolation="area", **colour
    )
    patterns = [with_pattern(scenes, truth, pattern) for pattern in range(len(PATTERNS))]
    own = [patterns[truth.contents[n, 0]][n] for n in range(50)]
    assert np.array_equal(own, scenes)
    seen = [network.small(torch.from_numpy(each)) for each in patterns]
    assert all(torch.equal(each, seen[0]) for each in seen)
    corners = torch.from_numpy(truth.objects[:, 0]) / (spec.image_size - 24.0)
    looks = [network.patches(torch.from_numpy(each), corners.clamp(0, 1)) for each in patterns[:2]]
    assert (looks[0] != looks[1]).flatten(1).any(dim=1).all()


def with_pattern(scenes, truth, pattern):
    """Return the scenes with another sign under the same noise."""
    changed = scenes.astype(np.int64)
    for scene, (top, left), own in zip(
        changed, truth.objects[:, 0], truth.contents[:, 0], strict=True
    ):
        box = scene[:, top : top + SIGN_SIZE, left : left + SIGN_SIZE]
        box += _SIGNS[pattern].astype(np.int64) - _SIGNS[own]
    assert changed.min() >= 0
    return changed.astype(np.uint8)


def test_digits_have_the_colours_that_are_told(kind):
    scenes, truth = kind.render("test", np.arange(100)), kind.truth("test", np.arange(100))
    colours = (truth.contents[:, 1:] - len(PATTERNS)) // 10
    for n in range(100):
        for (top, left), colour in zip(truth.objects[n, 1:], colours[n], strict=True):
            box = scenes[n, :, top : top + 10, left : left + 10]
            assert np.array_equal(box.max(axis=(1, 2)) > 64, _CHANNELS[colour] == 1)
