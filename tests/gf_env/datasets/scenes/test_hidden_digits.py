import numpy as np
import pytest
import torch

from gf_env.datasets.scenes.hidden_digits import GROUND, LEVELS
from tests.helpers.tiny import random_network


@pytest.mark.parametrize("kind", LEVELS, ids=lambda kind: kind.name)
def test_the_glance_is_grey_but_for_noise(kind):
    quiet = type("Quiet", (type(kind),), {"add_noise": lambda *_: None})(**vars(kind))
    scenes = torch.from_numpy(quiet.render("test", np.arange(200)))
    spec = kind.spec
    network = random_network(
        image_size=spec.image_size,
        patch_size=24,
        mean=spec.mean,
        std=spec.std,
        glance_interpolation="area",
    )
    grey = network.normalise(torch.full((200, 1, 24, 24), GROUND, dtype=torch.uint8))
    assert torch.equal(network.small(scenes), grey)
    strong = (scenes.int() - GROUND).abs() > 48  # beyond what noise can do
    assert strong.flatten(1).sum(dim=1).min() > 20
