"""Trainings and evaluations on data sets of every kind that is named."""

import json
from pathlib import Path

import pytest

import gf_env
from agents.cli import main
from tests.helpers.image_trees import write_stripes
from tests.helpers.paths import ROOT
from tests.helpers.quick_training import quick_arguments


@pytest.fixture(params=["own", "hugging face"])
def data_set(request, tmp_path, monkeypatch):
    """The name of a data set, and its classes."""
    if request.param == "own":
        monkeypatch.syspath_prepend(str(ROOT))
        return "examples.own_images:Shapes", ("square", "disc")
    hf = pytest.importorskip("datasets")
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    stripes = write_stripes(tmp_path / "images", counts=(24, 12, 12))
    return f"hf:{stripes}", ("columns", "neither", "rows")


def test_train_and_evaluate(data_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name, classes = data_set
    phases = ("--phases", "full_resolution", "low_resolution", "stage1", "stage2")
    more = ("--output", "run", "--no-figures", "--stage2.num-envs", 64, *phases)
    arguments = quick_arguments(name, *more, batch_size=24)
    assert main(["train", *arguments]) == 0
    used = json.loads(Path("run/config.json").read_text())["data"]
    assert (used["dataset"], used["validation_split"], used["test_split"]) == (
        name,
        "validation",
        "test",
    )
    network = "run/stage1/best.safetensors"
    assert gf_env.load_network(network).config.classes == classes
    policy = "run/stage2/best.safetensors"
    told = ["--network", network, "--dataset", name, "--num-images", "12", "--no-oracle"]
    capsys.readouterr()
    assert main(["evaluate", policy, *told]) == 0
    assert "12 images of test" in capsys.readouterr().out


def test_a_data_set_that_is_not_there_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("no_such_module:Photos", "hf:no/such/folder"):
        arguments = quick_arguments(name, "--output", "run")
        assert main(["train", *arguments]) == 1
        assert "Traceback" not in (error := capsys.readouterr().err)
        assert error.startswith("gf-env: ")
