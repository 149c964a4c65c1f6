"""Checkpoints of the paper's release are read as the networks and policies that they hold."""

import pickle
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

import agents
import gf_env
from agents.cli import main
from gf_env.network import families
from tests.helpers.image_trees import write_image
from tests.helpers.official_checkpoints import NETWORKS, ONE_A_FAMILY, SMALL, Source, rollout, write
from tests.helpers.slow import slow_but

ONE_A_KIND = ("mobilenetv3_large_100", SMALL)


@pytest.fixture(scope="module")
def source(request):
    return Source(request.param)


def check_same(source, network, policy):
    assert network.config == source.network.config
    assert policy.network.config == source.policy.network.config
    for ours, theirs in ((network, source.network), (policy.network, source.policy.network)):
        weights, expected = ours.state_dict(), theirs.state_dict()
        assert weights.keys() == expected.keys()
        assert all(torch.equal(value, expected[key]) for key, value in weights.items())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    logits, actions = rollout(network, policy)
    expected_logits, expected_actions = source.rollout
    assert torch.equal(logits, expected_logits)
    assert np.array_equal(actions, expected_actions)
    assert logits.isfinite().all()
    assert len(torch.unique(logits, dim=0)) == 5  # each look says something of its own


@pytest.mark.parametrize("source", slow_but(ONE_A_FAMILY, sorted(NETWORKS)), indirect=True)
def test_a_released_checkpoint(source, path):
    write(path, source.released())
    network = gf_env.load_official_checkpoint(path)
    check_same(source, network, agents.load_official_policy(path))


@pytest.mark.parametrize("source", slow_but(ONE_A_KIND, ONE_A_FAMILY), indirect=True)
def test_a_checkpoint_of_the_official_training(source, path):
    write(path, source.trained(), legacy=False)
    name = source.network.config.encoder
    network = gf_env.load_official_checkpoint(path, model_name=name, patch_size=96)
    check_same(source, network, agents.load_official_policy(path, model_name=name))


def test_every_network_of_the_release_is_tested():
    assert sorted(families.BACKBONES) == sorted(NETWORKS)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_either_container_with_and_without_prefix(small, path, legacy, prefix):
    write(path, small.released(prefix), legacy=legacy)
    network = gf_env.load_official_checkpoint(path, model_name=SMALL, patch_size=32)
    check_same(small, network, agents.load_official_policy(path, model_name=SMALL))


def test_the_files_here_are_as_those_of_the_release(small, path):
    content = small.released()
    written = write(path, content).read_bytes()
    assert b"cuda:1" in written
    assert written.startswith(pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2))
    assert {
        "module.stem.conv.weight",
        "module.s1.b1.proj.weight",
        "module.s1.b1.bn.running_var",
        "module.s1.b1.f.a.weight",
        "module.s2.b1.f.b_bn.bias",
        "module.s4.b3.f.se.f_ex.0.bias",
        "module.s4.b3.f.se.f_ex.2.weight",
        "module.fc.weight",
    } <= content["model_state_dict"].keys()
    gru = [f"{kind}_{way}_l0" for kind in ("weight", "bias") for way in ("ih", "hh")]
    assert content["fc"].keys() == {*(f"rnn.{name}" for name in gru), "fc.weight", "fc.bias"}
    heads = {"actor.0.weight", "actor.0.bias", "critic.0.weight", "critic.0.bias"}
    heads |= {f"gru.{name}" for name in gru}
    encoder = {"state_encoder.0.weight", "state_encoder.3.weight", "state_encoder.3.bias"}
    assert content["policy"].keys() == heads | encoder


@pytest.mark.parametrize("kind", [list, torch.tensor, np.array])
def test_sequence_length_is_that_of_the_costs(small, path, kind):
    write(path, small.released() | {"flops": kind([1.0, 2.0, 3.0])})
    assert gf_env.load_official_checkpoint(path).config.sequence_length == 3


def test_sequence_length_of_a_cascade_is_that_of_its_layers(path):
    content = Source("mobilenetv3_large_100", num_classes=2, patch_size=32).released()
    layers = {key: value for key, value in content["fc"].items() if key < "fc_4"}
    network = gf_env.load_official_checkpoint(write(path, content | {"fc": layers}))
    assert network.config.sequence_length == 3
    gap = {key: value for key, value in content["fc"].items() if not key.startswith("fc_3")}
    with pytest.raises(gf_env.TensorFileError, match=r"'fc' of .*heads\.3\.bias is missing"):
        gf_env.load_official_checkpoint(write(path, content | {"fc": gap}))


def test_a_thousand_classes_are_those_of_imagenet(path):
    content = Source(SMALL, num_classes=1000, hidden_size=8, patch_size=32).released()
    classes = gf_env.load_official_checkpoint(write(path, content)).config.classes
    assert len(classes) == 1000
    chosen = [classes[number] for number in (0, 207, 999)]
    assert chosen == ["tench", "golden retriever", "toilet tissue"]


MODULES = [b"numpy.core.multiarray", b"numpy._core.multiarray"]


@pytest.mark.parametrize("module", MODULES)
def test_numbers_of_old_and_new_numpy(small, path, module):
    write(path, small.trained())
    content = path.read_bytes()
    present = next(name for name in MODULES if name in content)
    assert content.count(present) == 2  # scalar and array
    path.write_bytes(content.replace(present, module))
    before = set(torch.serialization.get_safe_globals())  # in no particular order
    network = gf_env.load_official_checkpoint(path, model_name=SMALL, patch_size=32)
    assert network.config == small.network.config
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.fixture
def photographs(tmp_path_factory):
    """A tree of images of several sizes, two classes."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, (height, width) in {"cat": (260, 300), "dog": (400, 280)}.items():
        coarse = Image.fromarray(rng.integers(0, 256, (13, 13, 3), np.uint8))
        image = coarse.resize((width, height), Image.Resampling.NEAREST)
        write_image(root / "val" / name / "0.png", image)
    return root


def test_an_episode_in_the_papers_setting(photographs, path):
    source = Source("mobilenetv3_large_100", num_classes=2)
    write(path, source.released())
    network = gf_env.load_official_checkpoint(path)
    policy = agents.load_official_policy(path)
    env = gym.make("GlanceFocus-v0", network=network, dataset=str(photographs), split="validation")
    observation, info = env.reset(seed=0, options={"index": 1})

    image = Image.open(photographs / "val" / "dog" / "0.png")
    image = image.resize((256, int(256 * 400 / 280)), Image.Resampling.BILINEAR)
    top = round((image.height - 224) / 2)
    image = image.crop((16, top, 240, top + 224))
    images = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    expected = source.network.glance(images).logits.softmax(1)[0]
    assert info["label"] == 1
    assert info["confidence"] == pytest.approx(float(expected[1]), abs=1e-3)

    state, start, terminated, total = None, np.array([True]), False, 0.0
    first = info["confidence"]
    while not terminated:
        batched = {key: value[None] for key, value in observation.items()}
        actions, state = policy.predict(batched, state, start, deterministic=True)
        observation, reward, terminated, truncated, info = env.step(actions[0])
        start = np.array([False])
        total += reward
        assert not truncated
    assert info["step"] == 5
    assert total == pytest.approx(info["confidence"] - first, abs=1e-6)
    env.close()


def test_the_command_line_takes_a_checkpoint_with_its_policy(photographs, path, capsys):
    write(path, Source(SMALL, num_classes=2, hidden_size=8).released())
    shutil.copytree(photographs / "val", photographs / "train")
    arguments = ["--network", str(path), "--dataset", str(photographs), "--split", "validation"]
    arguments += ["--threshold-split", "train", "--no-oracle"]
    assert main(["evaluate", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "2 images of validation: accuracy after each look" in printed
    assert "the checkpoint's policy: images leave once the network is sure" in printed
    assert main(["info", str(path)]) == 0
    assert "own_head_at_inference" in capsys.readouterr().out
