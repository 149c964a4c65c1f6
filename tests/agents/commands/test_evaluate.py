import json

import numpy as np

import gf_env
from agents import CentrePolicy, PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.cli import main
from tests.helpers.image_trees import write_stripes


def test_evaluate(call, tmp_path):
    path = tmp_path / "policy.safetensors"
    PaperPolicy(PatchProposalNetwork(PatchProposalConfig((128, 3, 3)))).save(path)
    own = "tests.helpers.odd_policies:Sideways"
    printed = call("evaluate", path, own, "--num-images", 20)
    assert all(each in printed for each in ("greedy oracle", own, "20 images of test"))


def test_evaluate_on_further_scenes(call, tmp_path):
    path = tmp_path / "tables.json"
    options = ["--dataset", "signposts", "--no-oracle", "--output", path]
    call("evaluate", *options, "--further", 30)
    tables = json.loads(path.read_text())["tables"]
    assert list(tables) == ["2,000 images of test", "30 further images of test"]
    of_all = gf_env.evaluate(CentrePolicy(), dataset="signposts", split="test", num_scenes=2030)
    for rows, correct in zip(tables.values(), np.split(of_all.correct, [2000]), strict=True):
        accuracy = {row["name"]: row["accuracy"] for row in rows}
        assert accuracy["centre"] == correct.mean(axis=0).tolist()


def test_images_on_disk_have_no_further_ones(tmp_path, capsys):
    stripes = write_stripes(tmp_path / "images", counts=(4, 4, 4))
    assert main(["evaluate", "--dataset", str(stripes), "--further", "5"]) == 1
    assert "a size is for built-in data sets" in capsys.readouterr().err
