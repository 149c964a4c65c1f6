"""Policies that were saved before the code was laid out in folders are opened and do the same."""

import json

import numpy as np
import pytest

import agents
import gf_env
from agents.registry.files import load_policy
from gf_env.policy import choice_cost
from gf_env.storage import assets
from tests.helpers.paths import ROOT

FOLDER = ROOT / "tests" / "data" / "before_layout"
EVALUATIONS = json.loads((FOLDER / "evaluations.json").read_text())


def test_all_files_are_listed():
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".zip", ".safetensors")}
    assert files == EVALUATIONS.keys()


@pytest.mark.parametrize("name", EVALUATIONS)
def test_saved_before_the_layout(name):
    if name.endswith(".zip") and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("Stable-Baselines3 saved it with NumPy 2")
    policy = load_policy(FOLDER / name, trust_sb3=True)
    found = gf_env.evaluate(policy, split="validation", num_images=50)
    assert found.mean_return == pytest.approx(EVALUATIONS[name]["return"], abs=1e-6)
    assert found.accuracy.tolist() == EVALUATIONS[name]["accuracy"]
    # every choice was counted as the first one then
    choice = choice_cost(policy)
    saved = (choice.first - choice.later) * np.array([0, 0, 1, 2, 3])
    assert (found.multiply_adds + saved).tolist() == EVALUATIONS[name]["multiply_adds"]


@pytest.mark.parametrize("name", [name for name in EVALUATIONS if name.endswith(".zip")])
def test_models_of_sb3_need_an_explicit_word(name, monkeypatch):
    monkeypatch.setattr("agents.sb3.saved_models.load_sb3", lambda path: pytest.fail("loaded"))
    with pytest.raises(ValueError, match=r"may run any code.*--trust-sb3.*trust_sb3=True"):
        load_policy(FOLDER / name)


def test_a_map_can_be_an_asset_by_its_name(tmp_path, monkeypatch):
    """With the default settings on a built-in task it is small enough to come with the package."""
    config = agents.MapConfig((128, 3, 3), 128, 4, 7)
    (tmp_path / "assets").mkdir()
    file = tmp_path / "assets" / "mine.safetensors"
    agents.MapPolicy(agents.MapNetwork(config)).save(file)
    assert file.stat().st_size < 2_000_000
    monkeypatch.setattr(assets.resources, "files", lambda package: tmp_path)
    loaded = agents.load_policy("mine")
    assert isinstance(loaded, agents.MapPolicy)
    assert loaded.network.config == config
