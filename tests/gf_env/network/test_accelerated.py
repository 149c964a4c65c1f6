import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

import agents
import gf_env
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from gf_env.network.accelerated import AcceleratedEncoder, make_glimpse_source
from tests.helpers.tiny import random_network


def run(task, looks=4):
    """Return an episode's states on six images, at the same random places in every run."""
    generator = torch.Generator().manual_seed(0)
    states = [task.start(np.arange(6))]
    for _ in range(looks):
        state, _, _ = task.step(states[-1], Look(torch.rand(6, 2, generator=generator)))
        states.append(state)
    return states


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_bfloat16_is_close(digits):
    """It has eight bits, so a value is off by 0.4 %; some three times that come out at the end."""
    found, expected = (run(make_task(**digits, precision=each)) for each in ("bfloat16", "float32"))
    for rough, exact in zip(found, expected, strict=True):
        for name in ("features", "hidden", "logits"):
            values = getattr(rough, name)
            assert values.dtype == torch.float32
            assert 0 < relative_error(values, getattr(exact, name)) < 0.03
        assert torch.allclose(rough.logits.softmax(1), exact.logits.softmax(1), atol=0.05)


def test_bfloat16_in_environments_and_evaluation(digits):
    arguments = {**digits, "precision": "bfloat16"}
    env = gym.make("GlanceFocus-v0", **arguments)
    observation, info = env.reset(options={"index": 3})
    assert env.observation_space.contains(observation)
    found = gf_env.evaluate(agents.CentrePolicy(), **arguments)
    assert found.confidence[3, 0] == pytest.approx(info["confidence"], abs=0.02)
    expected = gf_env.evaluate(agents.CentrePolicy(), **digits)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=0.05)
    assert not np.array_equal(found.confidence, expected.confidence)


def test_rows_pick_images_as_they_do_in_the_network(tiny_network, tiny_dataset):
    images = tiny_dataset.images(np.arange(3))
    locations, rows = torch.rand(4, 2), torch.tensor([2, 0, 2, 1])
    hidden = torch.zeros(4, 6)
    glimpse_source = make_glimpse_source(tiny_network, "bfloat16", compiled=False)
    found = glimpse_source.focus(images, locations, hidden, rows)
    expected = tiny_network.focus(images, locations, hidden, rows)
    assert relative_error(found.pooled, expected.pooled) < 0.03


def test_the_global_encoders_own_head_after_the_glance(tiny_dataset):
    network = random_network(first_step="own_head_at_inference")
    glimpse_source = make_glimpse_source(network, "bfloat16", compiled=False)
    images = tiny_dataset.images(np.arange(3))
    found, expected = (each.glance(images).logits for each in (glimpse_source, network))
    assert 0 < relative_error(found, expected) < 0.03


@pytest.mark.parametrize("precision", ["float16", "", None])
def test_unknown_precision(tiny, precision):
    message = r"unknown precision .*; choose one of \['float32', 'bfloat16'\]"
    for compiled in (False, True):
        with pytest.raises(ValueError, match=message):
            make_task(**tiny, precision=precision, compiled=compiled)


class Compiled(nn.Module):
    """What a compiler returns: another module that does the same."""

    def __init__(self, encoder, options):
        super().__init__()
        self.encoder, self.options = encoder, options
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return self.encoder(images)


@pytest.fixture
def compiled(monkeypatch):
    """Return what torch.compile was asked for; the real one takes half a minute."""
    made = []

    def compile_nothing(encoder, *, options):
        made.append(Compiled(encoder, options))
        return made[-1]

    monkeypatch.setattr(torch, "compile", compile_nothing)
    return made


def test_both_encoders_are_compiled_and_used(tiny, compiled):
    network = tiny["network"]
    task = make_task(**tiny, compiled=True)
    assert isinstance(task.glimpse_source.local_encoder, AcceleratedEncoder)
    assert task.network.local_encoder is network.local_encoder  # as it was
    assert [each.encoder for each in compiled] == [network.global_encoder, network.local_encoder]
    for each in compiled:
        assert each.options == {"freezing": True, "triton.cudagraphs": False}
    found, expected = run(task), run(make_task(**tiny))
    assert [each.calls for each in compiled] == [1, 4]
    for left, right in zip(found, expected, strict=True):
        assert torch.allclose(left.logits, right.logits, atol=1e-6)
        assert torch.equal(left.locations, right.locations)


def test_compiled_in_bfloat16(tiny, compiled):
    made = (make_task(**tiny, precision="bfloat16", compiled=each) for each in (True, False))
    found, expected = map(run, made)
    assert [each.calls for each in compiled] == [1, 4]
    assert torch.equal(found[-1].logits, expected[-1].logits)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:Skipping serialization of:UserWarning")  # torch 2.6, of itself
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_really_compiled(tiny, precision):
    made = (make_task(**tiny, precision=precision, compiled=each) for each in (True, False))
    found, expected = map(run, made)
    for left, right in zip(found, expected, strict=True):
        assert relative_error(left.logits, right.logits) < 0.01
