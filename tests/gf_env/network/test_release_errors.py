"""What is no checkpoint of the paper's release is refused, with an error that says why."""

import hashlib
import os
import pickle

import pytest
import torch

import agents
import gf_env
from agents.registry.files import load_policy, open_network
from gf_env import TensorFileError
from tests.helpers.official_checkpoints import SMALL, write

LOADERS = [gf_env.load_official_checkpoint, agents.load_official_policy]
TRAINED, RELEASED = {"epoch": 1, "fc": {}}, {"model_name": SMALL, "patch_size": 32}


def refuses(content, path, message, error=TensorFileError, load=LOADERS[0], **arguments):
    write(path, content)
    with pytest.raises(ValueError, match=message) as caught:
        load(path, **arguments)
    assert type(caught.value) is error


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
    path, content = tmp_path / "bomb.pth.tar", {**RELEASED, "acc": bomb}
    message = rf"it refers to \S*{function}.*run code, which is refused"
    if container == "bare":
        path.write_bytes(pickle.dumps(content, protocol=2))
        message = "cannot be read as a checkpoint"
    else:
        write(path, content, legacy=container == "legacy")
    for load in LOADERS:
        with pytest.raises(TensorFileError, match=message):
            load(path)
    assert not target.exists()


def test_objects_of_a_class_are_refused(path):
    refuses({**RELEASED, "model": torch.nn.ReLU()}, path, r"refers to torch\.nn\.\S*ReLU")


@pytest.mark.parametrize("legacy", [True, False])
def test_a_cut_off_file(small, path, legacy):
    whole = write(path, small.released(), legacy=legacy).read_bytes()
    for keep in (0, 1, 10, 1000, len(whole) // 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        for load in LOADERS:
            with pytest.raises(TensorFileError, match="damaged or cut off"):
                load(path)


def test_something_else_than_a_checkpoint(path):
    with pytest.raises(TensorFileError, match=r"expected a checkpoint at .*, found no file"):
        gf_env.load_official_checkpoint(path)
    path.write_text("<html>not found</html>")
    with pytest.raises(TensorFileError, match="damaged") as caught:
        gf_env.load_official_checkpoint(path)
    assert "weights_only" not in str(caught.value)  # torch's advice to load unsafely
    refuses(torch.zeros(3), path, "parts of a checkpoint by name, found Tensor")


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("content", "model_name", "message", "error"),
    [
        (TRAINED, None, "does not say which.*pass model_name.*'mobilenetv3_large_125'", ValueError),
        (TRAINED, "resnet51", r"unknown model_name 'resnet51'; .*\['densenet121',", ValueError),
        (RELEASED, "resnet50", "'regnety_600m', but model_name is 'resnet50'; leave", ValueError),
        ({**RELEASED, "model_name": None}, None, "pass model_name.*'densenet121'", ValueError),
        *(
            ({**RELEASED, "model_name": name}, None, "model_name.*'densenet121'", TensorFileError)
            for name in ("vit_b", 3, ["resnet50"], "regnety_006")
        ),
    ],
)
def test_model_names(path, load, content, model_name, message, error):
    refuses(content, path, message, error, load, model_name=model_name)


@pytest.mark.parametrize(
    ("stored", "patch_size", "message", "error"),
    [
        ({}, None, "does not say its patch_size", ValueError),
        ({}, 0, "patch_size 0 does not fit", ValueError),
        ({"patch_size": None}, None, "does not say its patch_size", ValueError),
        ({"patch_size": None}, 0, "patch_size 0 does not fit", ValueError),
        ({"patch_size": 32}, 96, "made with patch_size 32, but patch_size is 96", ValueError),
        ({"patch_size": "96"}, None, "whole number, found '96'", TensorFileError),
        ({"patch_size": 225}, None, "225 does not fit images of 224 x 224", ValueError),
    ],
)
def test_patch_sizes(small, path, stored, patch_size, message, error):
    content = {"model_name": SMALL, "fc": small.released()["fc"], **stored}
    refuses(content, path, message, error, patch_size=patch_size)


@pytest.mark.parametrize("part", ["model_prime_state_dict", "model_state_dict", "fc"])
def test_missing_foreign_and_other_weights(small, path, part):
    content = small.released()
    weights = content.pop(part)
    refuses(content, path, f"expected a part {part!r} in.*'dynamic_threshold'")
    bias = next(key for key in weights if key.endswith("fc.bias"))
    # the number of classes is read off the classifier's weight, so it stays
    missing = "rnn.bias_hh_l0" if part == "fc" else bias.replace("bias", "weight")
    changed = {**weights, f"{bias}_2": torch.zeros(1), bias: torch.zeros(7)}
    del changed[missing]
    name = missing.removesuffix("_l0").removeprefix("module.")
    refuses(
        content | {part: changed},
        path,
        f"the tensors in {part!r} of.*{name} is missing.*bias_2 is foreign.*"
        r"fc.bias is \(7,\) instead of \(3,\)",
    )


@pytest.mark.parametrize("found", [None, {}, [1.0], {"weight": 1.0}, {1: torch.zeros(2)}], ids=str)
def test_parts_that_are_no_weights(path, found):
    refuses({**RELEASED, "fc": found}, path, "expected tensors by name in 'fc' of")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name": "regnety_800m"}, "'model_prime_state_dict' of.*is missing"),
        ({"model_name": "resnet50"}, "model.bn1.bias is missing"),
        ({"model_name": "efficientnet_b2"}, "fc_2.weight in 'fc' of.*found fc.bias, fc.weight, r"),
        ({"fc": {"fc.weight": torch.zeros(3)}}, r"to have 2 dimensions, found shape \(3,\)"),
    ],
)
def test_weights_of_another_network(small, path, changes, message):
    refuses({**small.released(), **changes}, path, message)


@pytest.mark.parametrize("flops", [3.0, None, torch.tensor(2.0), torch.zeros(2, 2), "12345"])
def test_costs_that_are_none(small, path, flops):
    content = {**RELEASED, "fc": small.released()["fc"], "flops": flops}
    refuses(content, path, "expected flops in")


@pytest.mark.parametrize(
    ("changes", "policy", "message"),
    [
        ({"policy": None}, {}, "'policy' of.*found NoneType"),
        ({"model_name": "resnet50"}, {}, r"\.0.weight in 'policy' of.*2 dimen.* \(32, 608, 1, 1\)"),
        ({}, {"actor.0.bias": None, "std": torch.ones(2)}, "actor.bias is missing.*std is foreign"),
        ({}, {"state_encoder.3.weight": torch.zeros(256, 64)}, "of 32 channels, found 64 inputs"),
    ],
    ids=["none", "of another network", "missing and foreign", "oblong"],
)
def test_policies_that_cannot_be(small, path, changes, policy, message):
    content = small.released()
    content["policy"] = {
        key: value for key, value in {**content["policy"], **policy}.items() if value is not None
    }
    refuses({**content, **changes}, path, message, load=agents.load_official_policy)


def test_no_policy(path):
    refuses(RELEASED, path, "expected a part 'policy' in", load=agents.load_official_policy)


@pytest.mark.parametrize("load", LOADERS)
def test_where_a_converted_checkpoint_came_from_is_kept(small, path, tmp_path, load):
    write(path, small.released())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    load(path, sha256=digest).save(tmp_path / "ours.safetensors")
    again = {gf_env.load_official_checkpoint: gf_env.load_network}.get(load, agents.load_policy)
    found = again(tmp_path / "ours.safetensors")
    assert getattr(found, "network", found).origin == digest
    with pytest.raises(TensorFileError, match="it is damaged or another file"):
        load(path, sha256="0" * 64)
    named = {gf_env.load_official_checkpoint: open_network}.get(load, load_policy)
    named(f"{path}#sha256={digest}")
    with pytest.raises(TensorFileError, match="it is damaged or another file"):
        named(f"{path}#sha256={'0' * 64}")


@pytest.mark.parametrize("part", ["model_prime_state_dict", "fc"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(small, path, part, number):
    content = small.released()
    name = next(key for key in content[part] if key.endswith("weight"))
    broken = content[part][name].clone()
    broken[(0,) * broken.ndim] = number
    content[part] = {**content[part], name: broken}
    refuses(content, path, f"finite numbers in {part!r} of.*found NaN or infinity in")
