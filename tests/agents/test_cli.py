import itertools
import json
import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image

import gf_env
from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.cli import _parse, main
from agents.stages import presets
from agents.stages.config import claim_folder
from tests.helpers.image_trees import write_image, write_stripes
from tests.helpers.quick_training import quick_arguments


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
    own = "tests.helpers.odd_policies:Sideways"
    assert main(["evaluate", str(path), own, "--num-images", "20"]) == 0
    printed = capsys.readouterr().out
    assert "greedy oracle" in printed
    assert own in printed
    assert "20 images of test" in printed


@pytest.fixture
def stripes(tmp_path):
    return write_stripes(tmp_path / "images", counts=(24, 12, 12))


def test_train_evaluate_and_curves(stripes, capsys):
    assert main(["train", *quick_arguments(stripes, "--output", "run")]) == 0
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

    arguments = quick_arguments(stripes, "--network", network, "--policy", policy)
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
    settings = {
        "recipe": {"stage1": {"epochs": 7}, "train_global_encoder": False, "image_size": None},
        "precision": "float32",
    }
    Path("settings.json").write_text(json.dumps(settings))
    given = [["--preset", "regnet"], ["--config", "settings.json"]]
    changes = ["--recipe.patch-size", "64", "--recipe.stage1.epochs", "9"]
    for arguments in ([*given, changes], [changes, *reversed(given)]):
        training = _parse(["train", *itertools.chain(*arguments)]).training
        assert training.recipe.encoder == "regnety_600m"
        assert training.recipe.stage1.epochs == 9  # the command line has the last word
        assert training.recipe.stage1.learning_rate == 0.02  # the preset's, which none changed
        assert training.recipe.patch_size == 64
        assert training.recipe.train_global_encoder is False
        assert training.recipe.image_size is None
        assert training.precision == "float32"
    assert _parse(["curves", *itertools.chain(*given)]).training.recipe.stage1.epochs == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": {"stage1": {"epoch": 7}}}, "recipe.stage1.epoch"),
        ({"recipe": {"stage1": {"epochs": -7}}}, "recipe.stage1.epochs must be"),
        ({"recipe": 3}, "recipe must be"),
        ({"precision": "half"}, "precision must be 'bfloat16' or 'float32', got 'half'"),
        ([3], "expected an object of settings in settings.json, found [3]"),
    ],
)
def test_settings_in_a_file_that_cannot_be(settings, message, capsys):
    Path("settings.json").write_text(json.dumps(settings))
    assert main(["train", "--config", "settings.json"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "settings.json" in said
    assert message in said


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_configuration_of_a_training_is_such_a_file(name, tmp_path):
    training = presets.preset(name)
    claim_folder(tmp_path, training, resume=False)
    assert _parse(["train", "--config", str(tmp_path / "config.json")]).training == training


def test_a_training_is_resumed_only_when_asked(stripes, capsys):
    only = ["--phases", "full_resolution", "--no-figures"]
    arguments = ["train", *quick_arguments(stripes, *only)]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0


@pytest.fixture
def ten_classes(tmp_path):
    """One image of each class, for the built-in network."""
    for number in range(10):
        image = Image.new("L", (96, 96), 25 * number)
        write_image(tmp_path / "ten" / "test" / str(number) / "0.png", image)
    return tmp_path / "ten"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--grid-size", "2"], ["GlanceFocusGrid-v0", "grid_size=2", "feature_bank=True"]),
        (["--grid-size", "2", "--output", "my bank.npy"], ['feature_bank="my bank.npy"']),
        (["--lattice-stride", "50"], ["GlanceFocus-v0", "lattice_stride=50"]),
    ],
)
def test_bank(ten_classes, capsys, settings, words):
    arguments = ["bank", "--dataset", str(ten_classes), "--split", "test", *settings]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "feature bank of 10 images: 0.00 GB in " in said
    assert "10/10" in said
    assert "Built in " in said
    use = said.splitlines()[-1].removeprefix("Use: ")
    assert all(word in use for word in words)
    env = eval(use, {"gym": gymnasium})
    path = Path(next(line for line in said.splitlines() if " MB in " in line).split(" MB in ")[1])
    assert np.load(path).nbytes == env.unwrapped.task.glimpse_source.num_bytes

    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "Already built, and every byte is as it was written." in said
    assert said.splitlines()[-1] == f"Use: {use}"
    whole = path.read_bytes()
    os.truncate(path, len(whole) // 2)
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "does not match its checksums" in said
    assert "Built in " in said
    assert path.read_bytes() == whole


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


def test_too_little_memory_is_one_line(capsys, monkeypatch):
    def open_bank(_):
        raise MemoryError("the feature bank has 9.00 GB, but cuda has 1.00 GB free")

    monkeypatch.setattr("agents.commands.bank.BankFile.is_built", open_bank)
    assert main(["bank", "--split", "test"]) == 1
    assert capsys.readouterr().err.startswith("gf-env: the feature bank has 9.00 GB")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing"], "unknown network 'nothing'"),
        (["evaluate", "--split", "dev"], "unknown split 'dev'"),
        (["train", "--data.dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "--recipe.stage1.epochs", "-1"], "epochs must be greater than or equal to 0"),
        (["train", "--preset", "alexnet"], "unknown preset 'alexnet'; choose one of"),
        (["train", "--config", "nothing.json"], "expected a JSON file of settings"),
        (["train", "--phases", "stage4", "--output", "x"], "unknown phases ['stage4']"),
        (["curves", "--sizes", "97"], "sizes must be from 1 to 96"),
        (["bank", "--split", "test", "--grid-size", "None"], "needs to know the patches"),
        (
            ["bank", "--split", "test", "--grid-size", "3", "--lattice-stride", "4"],
            "leave it or grid_size out",
        ),
        (["bank", "--split", "test", "--output", "bank.bin"], "ends with .npy, got bank.bin"),
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
