"""Checkpoints of the layout that the paper's release has, written here with random weights.

The names and settings below are those of its files, put down apart from the code that reads them.
"""

import functools
import os
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
from agents.policies.paper import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from gf_env.network import families
from gf_env.network.config import NetworkConfig
from gf_env.network.encoders.timm_encoder import timm_image_settings
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.network.preprocessing import resize

RESNET = ("recurrent", "classifier", "bicubic", "flat")
DENSENET = ("recurrent", "classifier", "bilinear", "flat")
REGNET = ("recurrent", "own_head_at_inference", "bilinear", "conv")
CASCADED = ("cascaded", "own_head", "bicubic", "conv")

# kind of network, channels of its map, image size, crop, interpolation of files
NETWORKS = {
    "resnet50": (RESNET, 2048, 224, 0.875, "bilinear"),
    "densenet121": (DENSENET, 1024, 224, 0.875, "bilinear"),
    "densenet169": (DENSENET, 1664, 224, 0.875, "bilinear"),
    "densenet201": (DENSENET, 1920, 224, 0.875, "bilinear"),
    "regnety_600m": (REGNET, 608, 224, 0.875, "bilinear"),
    "regnety_800m": (REGNET, 768, 224, 0.875, "bilinear"),
    "regnety_1.6g": (REGNET, 888, 224, 0.875, "bilinear"),
    "mobilenetv3_large_100": (CASCADED, 960, 224, 0.875, "bilinear"),
    "mobilenetv3_large_125": (CASCADED, 1200, 224, 0.875, "bilinear"),
    "efficientnet_b2": (CASCADED, 1408, 260, 0.875, "bicubic"),
    "efficientnet_b3": (CASCADED, 1536, 300, 0.904, "bicubic"),
}
SMALL = "regnety_600m"
ONE_A_FAMILY = [
    "densenet121",
    "efficientnet_b2",
    "mobilenetv3_large_100",
    "regnety_600m",
    "resnet50",
]


class Source:
    """A network and its policy, whose weights go into checkpoints.

    Every weight and statistic is random, so that none can be mistaken for another.
    """

    def __init__(self, name, num_classes=5, hidden_size=1024, patch_size=96):
        kind, channels, size, crop, interpolation = NETWORKS[name]
        classifier, first_step, glance_interpolation, state_encoder = kind
        config = NetworkConfig(
            encoder=name,
            image_size=size,
            patch_size=patch_size,
            channels=3,
            classes=tuple(map(str, range(num_classes))),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            sequence_length=5,
            glance_interpolation=glance_interpolation,
            classifier=classifier,
            first_step=first_step,
            crop_fraction=crop,
            resize_interpolation=interpolation,
            **({"hidden_size": hidden_size} if classifier == "recurrent" else {}),
        )
        side = patch_size // 32
        policy = PatchProposalConfig(
            (channels, side, side), state_encoder, 1024 if state_encoder == "flat" else 256
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = GlanceFocusNet(config).eval().requires_grad_(False)
            self.policy = PaperPolicy(PatchProposalNetwork(policy))
            for encoder in (self.network.global_encoder, self.network.local_encoder):
                for value in encoder.state_dict().values():
                    if value.ndim == 1:  # as they come, all are zeros or ones
                        value.add_(torch.randn_like(value), alpha=0.02)
                    elif value.ndim == 0:  # batches seen
                        value.fill_(7)

    @functools.cached_property
    def rollout(self):
        return rollout(self.network, self.policy)

    def released(self, prefix="module."):
        """The content of a released checkpoint."""
        network, name = self.network, self.network.config.encoder
        encoders = (network.global_encoder, network.local_encoder)
        prime, local = (
            {
                prefix + official_encoder(name, key): value
                for key, value in each.state_dict().items()
            }
            for each in encoders
        )
        classifier, policy = network.classifier.state_dict(), self.policy.network.state_dict()
        flat = self.policy.network.config.state_encoder == "flat"
        return {
            "model_name": name,
            "patch_size": network.config.patch_size,
            "model_prime_state_dict": prime,
            "model_state_dict": local,
            "fc": {official_classifier(key): value for key, value in classifier.items()},
            "policy": {official_policy(key, flat): value for key, value in policy.items()},
            "model_flops": 1.5e9,
            "policy_flops": 2.5e6,
            "fc_flops": 1e6,
            "flops": [0.8e9, 1.6e9, 2.4e9, 3.2e9, 4.0e9],
            "anytime_classification": [70.0, 72.0, 74.0, 75.0, 76.0],
            "dynamic_threshold": torch.rand(39, 5),
            "budgeted_batch_classification": [[1.0, 2.0]] * 39,
        }

    def trained(self):
        """The content of a checkpoint of the official training."""
        parts = ("model_prime_state_dict", "model_state_dict", "fc", "policy")
        released = self.released(prefix="")
        weight = torch.nn.Parameter(torch.ones(3))
        sgd = torch.optim.SGD([weight], 0.1, momentum=0.9, nesterov=True)
        adam = torch.optim.Adam([weight], 3e-4)
        weight.grad = torch.ones(3)
        sgd.step()
        adam.step()
        return {
            "epoch": 59,
            **{part: released[part] for part in parts},
            "acc": np.float64(75.9),
            "best_acc": np.array([74.5, 75.9]),
            "optimizer": sgd.state_dict(),
            "ppo_optimizer": adam.state_dict(),
        }


def official_encoder(name, key):
    """Name in the release of a weight of our encoder."""
    key = key.removeprefix("model.")
    if not name.startswith("regnety"):
        return key
    for ours, theirs in (
        (".downsample.conv.", ".proj."),
        (".downsample.bn.", ".bn."),
        (".conv1.conv.", ".f.a."),
        (".conv1.bn.", ".f.a_bn."),
        (".conv2.conv.", ".f.b."),
        (".conv2.bn.", ".f.b_bn."),
        (".conv3.conv.", ".f.c."),
        (".conv3.bn.", ".f.c_bn."),
        (".se.fc1.", ".f.se.f_ex.0."),
        (".se.fc2.", ".f.se.f_ex.2."),
        ("head.fc.", "fc."),
    ):
        if ours in key:
            return key.replace(ours, theirs)
    return key


def official_classifier(key):
    if key.startswith("rnn."):
        return key + "_l0"
    return key.replace("heads.", "fc_")


def official_policy(key, flat):
    module, *middle, last = key.split(".")
    if module == "gru":
        return key + "_l0"
    if module == "state_encoder":
        return f"state_encoder.{int(middle[0]) - flat}.{last}"
    return f"{module}.0.{last}"


def write(path, content, *, legacy=True):
    """Save as the release did: from a GPU, by default in torch 1.3's container."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:1")
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.fixture(scope="module")
def source(request):
    return Source(request.param)


@pytest.fixture(scope="module")
def small():
    return Source(SMALL, num_classes=3, hidden_size=8, patch_size=32)


@pytest.fixture
def path(tmp_path):
    """Where to write; the files are large, so they go at once."""
    yield tmp_path / "checkpoint.pth.tar"
    for item in tmp_path.iterdir():
        item.unlink()


def rollout(network, policy):
    """Logits (T, 1, classes) and actions (T - 1, 1, 2) on one image."""
    config = network.config
    generator = torch.Generator().manual_seed(3)
    shape = (1, 3, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    glimpse = network.glance(images)
    logits, actions, state = [glimpse.logits], [], None
    for _ in range(config.sequence_length - 1):
        seen = {"features": glimpse.features.numpy()}
        action, state = policy.predict(seen, state, np.array([state is None]), deterministic=True)
        locations = (torch.from_numpy(action) + 1) / 2
        glimpse = network.focus(images, locations, glimpse.hidden)
        logits.append(glimpse.logits)
        actions.append(action)
    return torch.stack(logits), np.stack(actions)


def check_same(source, network, policy):
    assert network.config == source.network.config
    assert policy.network.config == source.policy.network.config
    for ours, theirs in (
        (network, source.network),
        (policy.network, source.policy.network),
    ):
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


@pytest.mark.parametrize("source", sorted(NETWORKS), indirect=True)
def test_a_released_checkpoint(source, path):
    write(path, source.released())
    network = gf_env.load_official_checkpoint(path)
    check_same(source, network, agents.load_official_policy(path))


@pytest.mark.parametrize("source", ONE_A_FAMILY, indirect=True)
def test_a_checkpoint_of_the_official_training(source, path):
    write(path, source.trained(), legacy=False)
    name = source.network.config.encoder
    network = gf_env.load_official_checkpoint(path, model_name=name, patch_size=96)
    check_same(source, network, agents.load_official_policy(path, model_name=name))


def test_every_network_of_the_release_is_tested():
    assert sorted(families.MODEL_NAMES) == sorted(NETWORKS)


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


def test_the_global_encoders_own_head_speaks_first(small, path):
    network = gf_env.load_official_checkpoint(write(path, small.released()))
    images = torch.rand(2, 3, 224, 224)
    encoding = network.global_encoder(resize(images, 32, "bilinear"))
    expected = network.global_encoder.own_logits(encoding.pooled)
    assert torch.allclose(network.glance(images).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    "flops",
    [[1.0, 2.0, 3.0], torch.tensor([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])],
    ids=["list", "tensor", "array"],
)
def test_sequence_length_is_that_of_the_costs(small, path, flops):
    write(path, small.released() | {"flops": flops})
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
    assert (classes[0], classes[207], classes[999]) == (
        "tench",
        "golden retriever",
        "toilet tissue",
    )


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numbers_of_old_and_new_numpy(small, path, module):
    write(path, small.trained())
    content = path.read_bytes()
    present = next(
        name for name in (b"numpy.core.multiarray", b"numpy._core.multiarray") if name in content
    )
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
        folder = root / "val" / name
        folder.mkdir(parents=True)
        coarse = Image.fromarray(rng.integers(0, 256, (13, 13, 3), np.uint8))
        coarse.resize((width, height), Image.Resampling.NEAREST).save(folder / "0.png")
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


# What cannot be read


class Bomb:
    def __init__(self, function, *arguments):
        self.what = (function, arguments)

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("container", ["legacy", "zip", "bare"])
@pytest.mark.parametrize("function", ["mkdir", "exec", "getattr"])
def test_code_in_a_file_never_runs(tmp_path, container, function):
    target = tmp_path / "ran"
    bomb = {
        "mkdir": Bomb(os.mkdir, str(target)),
        "exec": Bomb(exec, f"import os; os.mkdir({str(target)!r})"),
        "getattr": Bomb(getattr, "text", "upper"),
    }[function]
    path = tmp_path / "bomb.pth.tar"
    content = {"model_name": SMALL, "patch_size": 32, "acc": bomb}
    if container == "bare":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        write(path, content, legacy=container == "legacy")
    message = {
        "legacy": rf"it refers to \S*{function}.*run code, which is refused",
        "zip": rf"it refers to \S*{function}.*run code, which is refused",
        "bare": "cannot be read as a checkpoint",
    }[container]
    for load in (gf_env.load_official_checkpoint, agents.load_official_policy):
        with pytest.raises(gf_env.TensorFileError, match=message):
            load(path)
    assert not target.exists()


def test_objects_of_a_class_are_refused(tmp_path):
    path = write(tmp_path / "object.pth.tar", {"model_name": SMALL, "model": torch.nn.ReLU()})
    with pytest.raises(gf_env.TensorFileError, match=r"refers to torch\.nn\.\S*ReLU"):
        gf_env.load_official_checkpoint(path)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_cut_off_file(small, path, legacy):
    whole = write(path, small.released(), legacy=legacy).read_bytes()
    for keep in (0, 1, 10, 1000, len(whole) // 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        for load in (gf_env.load_official_checkpoint, agents.load_official_policy):
            with pytest.raises(gf_env.TensorFileError, match="damaged or cut off"):
                load(path)


def test_something_else_than_a_checkpoint(tmp_path):
    path = tmp_path / "file.pth.tar"
    with pytest.raises(gf_env.TensorFileError, match=r"expected a checkpoint at .*, found no file"):
        gf_env.load_official_checkpoint(path)
    path.write_text("<html>not found</html>")
    with pytest.raises(gf_env.TensorFileError, match="damaged") as caught:
        gf_env.load_official_checkpoint(path)
    assert "weights_only" not in str(caught.value)  # torch's advice to load unsafely
    write(path, torch.zeros(3))
    with pytest.raises(gf_env.TensorFileError, match="parts of a checkpoint by name, found Tensor"):
        gf_env.load_official_checkpoint(path)


def raised(content, path, load=gf_env.load_official_checkpoint, **arguments):
    """The error that a file of this content gives."""
    write(path, content)
    with pytest.raises(ValueError) as caught:
        load(path, **arguments)
    return str(caught.value), type(caught.value)


@pytest.mark.parametrize("load", [gf_env.load_official_checkpoint, agents.load_official_policy])
def test_model_names(path, load):
    trained, released = {"epoch": 1, "fc": {}}, {"model_name": SMALL, "patch_size": 32}
    message, kind = raised(trained, path, load)
    assert "does not say which network it holds" in message
    assert "pass model_name" in message
    assert "mobilenetv3_large_125" in message
    assert kind is ValueError
    message, kind = raised(trained, path, load, model_name="resnet51")
    assert "unknown model_name 'resnet51'; choose one of ['densenet121'," in message
    assert kind is ValueError
    message, _ = raised(released, path, load, model_name="resnet50")
    assert "holds 'regnety_600m', but model_name is 'resnet50'" in message
    for name in ("vit_b", 3, ["resnet50"], "regnety_006", None):
        message, _ = raised(released | {"model_name": name}, path, load)
        assert "model_name" in message
        assert "'densenet121'" in message


def test_patch_sizes(small, path):
    content = {"model_name": SMALL, "fc": small.released()["fc"]}
    for silent in (content, content | {"patch_size": None}):
        message, _ = raised(silent, path)
        assert "does not say its patch_size" in message
        message, _ = raised(silent, path, patch_size=0)
        assert "patch_size 0 does not fit" in message
    message, _ = raised(content | {"patch_size": 32}, path, patch_size=96)
    assert "made with patch_size 32, but patch_size is 96" in message
    message, kind = raised(content | {"patch_size": "96"}, path)
    assert "whole number, found '96'" in message
    assert kind is gf_env.TensorFileError
    message, _ = raised(content | {"patch_size": 225}, path)
    assert "patch_size 225 does not fit images of 224 x 224" in message


@pytest.mark.parametrize("part", ["model_prime_state_dict", "model_state_dict", "fc"])
def test_missing_foreign_and_other_weights(small, path, part):
    content = small.released()
    weights = content.pop(part)
    message, _ = raised(content, path)
    assert f"expected a part {part!r} in" in message
    assert "'dynamic_threshold'" in message
    name = next(key for key in weights if key.endswith("fc.bias"))
    changed = weights | {f"{name}_2": torch.zeros(1), name: torch.zeros(7)}
    missing = changed.pop(name.replace("bias", "weight"))
    if part == "fc":  # the number of classes is read off it
        changed[name.replace("bias", "weight")] = missing
        changed.pop("rnn.bias_hh_l0")
    message, kind = raised(content | {part: changed}, path)
    assert f"the tensors in {part!r} of" in message
    assert ("rnn.bias_hh is missing" if part == "fc" else "fc.weight is missing") in message
    assert "bias_2 is foreign" in message
    assert "fc.bias is (7,) instead of (3,)" in message
    assert kind is gf_env.TensorFileError


@pytest.mark.parametrize("found", [None, {}, [1.0], {"weight": 1.0}, {1: torch.zeros(2)}], ids=str)
def test_parts_that_are_no_weights(path, found):
    message, kind = raised({"model_name": SMALL, "patch_size": 32, "fc": found}, path)
    assert "expected tensors by name in 'fc' of" in message
    assert kind is gf_env.TensorFileError


def test_weights_of_another_network(small, path):
    message, _ = raised(small.released() | {"model_name": "regnety_800m"}, path)
    assert "'model_prime_state_dict' of" in message
    assert "is missing" in message
    message, _ = raised(small.released() | {"model_name": "resnet50"}, path)
    assert "model.bn1.bias is missing" in message
    message, _ = raised(small.released() | {"model_name": "efficientnet_b2"}, path)
    assert "expected fc_2.weight in 'fc' of" in message
    assert "found fc.bias, fc.weight, rnn.bias_hh_l0" in message
    message, _ = raised(small.released() | {"fc": {"fc.weight": torch.zeros(3)}}, path)
    assert "to have 2 dimensions, found shape (3,)" in message


@pytest.mark.parametrize("flops", [3.0, None, torch.tensor(2.0), torch.zeros(2, 2), "12345"])
def test_costs_that_are_none(small, path, flops):
    released = small.released()
    content = {key: released[key] for key in ("model_name", "patch_size", "fc")}
    message, kind = raised(content | {"flops": flops}, path)
    assert "expected flops in" in message
    assert kind is gf_env.TensorFileError


def test_a_policy_that_is_none_or_another_networks(small, path):
    load, content = agents.load_official_policy, small.released()
    policy = content.pop("policy")
    message, _ = raised(content, path, load)
    assert "expected a part 'policy' in" in message
    message, _ = raised(content | {"policy": None}, path, load)
    assert "'policy' of" in message
    assert "found NoneType" in message
    message, _ = raised(content | {"policy": policy, "model_name": "resnet50"}, path, load)
    assert "state_encoder.0.weight in 'policy' of" in message
    assert "to have 2 dimensions, found shape (32, 608, 1, 1)" in message
    narrow = {key: value for key, value in policy.items() if key != "actor.0.bias"}
    message, _ = raised(content | {"policy": narrow | {"std": torch.ones(2)}}, path, load)
    assert "actor.bias is missing" in message
    assert "std is foreign" in message
    oblong = policy | {"state_encoder.3.weight": torch.zeros(256, 32 * 2)}
    message, kind = raised(content | {"policy": oblong}, path, load)
    assert "square maps of 32 channels, found 64 inputs" in message
    assert kind is gf_env.TensorFileError


def test_image_settings_are_the_tables_here():
    for name, (_, _, *expected) in NETWORKS.items():
        settings = timm_image_settings(name)
        found = [settings.image_size, settings.crop_fraction, settings.resize_interpolation]
        assert found == expected
