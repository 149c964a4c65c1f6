import json
import os

import pytest
from PIL import Image

import gf_env
from agents import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.cli import main


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


def test_train_on_a_small_split(tmp_path, capsys, monkeypatch):
    from gf_env.datasets import cluttered_digits

    monkeypatch.setattr(
        cluttered_digits,
        "SPLIT_SIZES",
        {"pretrain": 128, "train": 50, "validation": 50, "test": 50},
    )
    from gf_env import datasets

    datasets._cluttered_digits.cache_clear()
    stages = ("full-resolution", "low-resolution", "stage1")
    quick = [f"--recipe.{stage}.epochs=1" for stage in stages]
    assert main(["train", "--output", str(tmp_path), "--name", "small", *quick]) == 0
    datasets._cluttered_digits.cache_clear()
    report = json.loads((tmp_path / "small.json").read_text())
    assert report["test_images"] == 50
    assert report["training_images"] == 128
    assert len(report["accuracy_per_look"]["greedy_oracle"]) == 5
    assert report["recipe"]["stage1"]["epochs"] == 1
    assert gf_env.load_network(tmp_path / "small.safetensors").config.patch_size == 24
    assert (tmp_path / "full_resolution" / "small.safetensors").is_file()


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


def test_a_missing_test_split_is_said_before_training(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / name / "0.png")
    assert main(["train", "--dataset", str(tmp_path), "--split", "train"]) == 1
    printed = capsys.readouterr()
    assert "no split 'test'" in " ".join(printed.err.split())
    assert "starting weights" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing"], "unknown network 'nothing'"),
        (["evaluate", "--split", "dev"], "unknown split 'dev'"),
        (["train", "--dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "--recipe.stage1.epochs", "0"], "epochs must be positive"),
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
