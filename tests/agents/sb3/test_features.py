import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import CombinedExtractor

from agents.policies.recurrent_network import SEES
from agents.sb3.features import GlanceFocusExtractor

SHAPES = {
    "features": (128, 3, 2),
    "glance": (128, 3, 2),
    "hidden_state": (5,),
    "locations": (4, 2),
    "probabilities": (3,),
    "step": (1,),
}
SPACE = spaces.Dict(
    {key: spaces.Box(-np.inf, np.inf, shape, np.float32) for key, shape in SHAPES.items()}
)


@pytest.fixture
def observations():
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(7, *shape, generator=generator) for key, shape in SHAPES.items()}


@pytest.mark.parametrize("sees", [None, SEES, *((key,) for key in SEES)], ids=str)
@pytest.mark.parametrize("encoder", ["conv", "flat"])
def test_width(observations, sees, encoder):
    extractor = GlanceFocusExtractor(SPACE, sees, encoder)
    maps = 32 * 6 if encoder == "conv" else 128 * 6
    sizes = {"features": maps, "glance": maps, "hidden_state": 5, "locations": 8, "step": 1}
    sizes["probabilities"] = 3
    assert extractor.features_dim == sum(sizes[key] for key in sees or SEES)
    assert extractor(observations).shape == (7, extractor.features_dim)


def test_encoders(observations):
    """Flat is SB3's own extractor, conv the paper's (section 3.1).

    That is the same 32 weighted sums of the channels at every place, then ReLU.
    """
    ours, theirs = GlanceFocusExtractor(SPACE, encoder="flat"), CombinedExtractor(SPACE)
    assert torch.equal(ours(observations), theirs(observations))
    assert not list(ours.parameters())
    extractor = GlanceFocusExtractor(SPACE, ("features",), "conv")
    (weight,) = extractor.parameters()
    assert weight.shape == (32, 128, 1, 1)
    expected = torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], observations["features"]).relu()
    assert torch.allclose(extractor(observations), expected.flatten(1), atol=1e-5)


def test_what_is_not_seen_has_no_influence(observations):
    extractor = GlanceFocusExtractor(SPACE, ["step", "hidden_state"])
    before = extractor(observations)
    assert torch.equal(before, torch.cat([observations["hidden_state"], observations["step"]], 1))
    del observations["glance"]
    observations["features"] += 1
    assert torch.equal(extractor(observations), before)


@pytest.mark.parametrize(
    ("space", "arguments", "message"),
    [
        (SPACE, {"encoder": "mlp"}, r"unknown encoder 'mlp'; choose one of \['conv', 'flat'\]"),
        (SPACE, {"sees": ()}, "one or more different names"),
        (SPACE, {"sees": ("label",)}, r"out of \['features', 'hidden_state'.*got \('label',\)"),
        (
            spaces.Dict({"features": SPACE["features"]}),
            {"sees": ("features", "step")},
            r"sees \['step'\], which the environment does not show.*observe=\('step',\)",
        ),
        (SPACE["step"], {}, "expected a Dict of observations"),
    ],
)
def test_errors(space, arguments, message):
    with pytest.raises(ValueError, match=message):
        GlanceFocusExtractor(space, **arguments)
