import json
import os
from pathlib import Path

import pytest
from image_trees import write_stripes
from PIL import Image

import gf_env
from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork, presets
from agents.cli import _parse, main
from agents.commands.train import preset_and_file
from agents.training_config import claim_folder


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Commands write to folders of their own by default."""
    monkeypatch.chdir(tmp_path)


def test_info(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "small-cnn" in printed
    assert "multiply-adds" in printed


def test_evaluate(capsys, tmp_path):
    path = tmp_path / "policy.safetensors"
    PaperPolicy(PatchProposalNetwork(PatchProposalConfig((128, 3, 3)))).save(path)
    assert main(["evaluate", str(path), "--num-images", "20"]) == 0
    printed = capsys.readouterr().out
    assert "greedy oracle" in printed
    assert "20 images of test" in printed


@pytest.fixture
def stripes(tmp_path):
    return write_stripes(tmp_path / "images", counts=(24, 12, 12))


def train_arguments(images, *more):
    settings = ["--data.dataset", str(images), "--data.network-split", "train"]
    settings += ["--recipe.image-size", "16", "--recipe.patch-size", "8"]
    phases = ("full-resolution", "low-resolution", "stage1", "stage3")
    for phase in phases:
        settings += [f"--recipe.{phase}.epochs", "1", f"--recipe.{phase}.batch-size", "8"]
    return ["train", *settings, "--stage2.epochs", "1", "--stage2.num-envs", "8", *more]


def test_train_evaluate_and_curves(stripes, capsys):
    assert main(train_arguments(stripes, "--output", "run")) == 0
    assert "stage3: 12 images of the test split" in capsys.readouterr().out
    report = json.loads(Path("run/stage3/figures.json").read_text())
    assert len(report["accuracy_per_look"]["paper_policy"]) == 5
    assert report["config"]["recipe"]["stage1"]["epochs"] == 1
    assert gf_env.load_network("run/stage1/best.safetensors").config.patch_size == 8

    network, policy = "run/stage3/best.safetensors", "run/stage2/best.safetensors"
    used = ["--network", network, "--dataset", str(stripes)]
    assert main(["evaluate", policy, *used, "--no-oracle"]) == 0
    printed = capsys.readouterr().out
    assert "12 images of test" in printed
    assert "images leave once the network is sure" in printed
    assert "oracle" not in printed

    arguments = train_arguments(stripes, "--network", network, "--policy", policy)[1:]
    measured = ["--sizes", "8", "12", "16", "--latency.batches", "1", "--latency.repeats", "1"]
    assert main(["curves", *arguments, *measured]) == 0
    curves = json.loads(Path("runs/curves/curves.json").read_text())
    found = {(point["curve"], point["setting"]) for point in curves["points"]}
    assert {("plain", 8.0), ("plain", 12.0), ("plain", 16.0), ("anytime", 5.0)} <= found
    assert len([curve for curve, _ in found if curve == "budgeted"]) == 39
    for name in ("multiply_adds", "seconds"):
        with Image.open(f"runs/curves/{name}.png") as picture:
            assert picture.width > 500


def test_settings_from_preset_file_and_command_line():
    training, from_file = preset_and_file(["train", "--preset", "regnet"])
    assert training.recipe.encoder == "regnety_600m"
    assert from_file == []
    settings = {
        "recipe": {"stage1": {"epochs": 7}, "train_global_encoder": False, "image_size": None},
        "precision": "float32",
    }
    Path("settings.json").write_text(json.dumps(settings))
    arguments = ["--preset", "regnet", "--config", "settings.json", "--recipe.patch-size", "64"]
    command = _parse(["train", *arguments, "--recipe.stage1.epochs", "9"])
    assert command.training.recipe.encoder == "regnety_600m"
    assert command.training.recipe.stage1.epochs == 9  # the command line has the last word
    assert command.training.recipe.patch_size == 64
    assert command.training.recipe.train_global_encoder is False
    assert command.training.recipe.image_size is None
    assert command.training.precision == "float32"


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_configuration_of_a_training_is_such_a_file(name, tmp_path):
    training = presets.preset(name)
    claim_folder(tmp_path, training, resume=False)
    assert _parse(["train", "--config", str(tmp_path / "config.json")]).training == training


def test_a_training_is_gone_on_with_only_when_asked(stripes, capsys):
    arguments = train_arguments(stripes, "--phases", "full_resolution", "--no-figures")
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0


def test_demo(tmp_path, capsys):
    quick = ["--train-seconds", "1", "--sb3-seconds", "1", "--test-images", "30"]
    assert main(["demo", "--output", str(tmp_path), *quick]) == 0
    assert sorted(os.listdir(tmp_path)) == [
        "accuracy.png",
        "episodes.png",
        "paper_policy.safetensors",
        "results.json",
    ]
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in results["policies"]] == [
        "random",
        "centre",
        "centre, then corners",
        "SB3 PPO",
        "paper's policy",
        "greedy oracle (sees labels)",
    ]
    assert "gap closed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing"], "unknown network 'nothing'"),
        (["evaluate", "--split", "dev"], "unknown split 'dev'"),
        (["train", "--data.dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "--recipe.stage1.epochs", "-1"], "epochs must be 0 or more"),
        (["train", "--preset", "alexnet"], "unknown preset 'alexnet'; choose one of"),
        (["train", "--config", "nothing.json"], "expected a JSON file of settings"),
        (["train", "--phases", "stage4", "--output", "x"], "unknown phases ['stage4']"),
        (["curves", "--sizes", "97"], "sizes must be from 1 to 96"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    assert status not in (0, None)
    printed = capsys.readouterr()
    assert message in " ".join((printed.err + printed.out).split())
    assert "Traceback" not in printed.err
