"""Every example runs as it stands, here with small numbers."""

import os
import subprocess
import sys

import pytest

from agents.benchmark.suite_files import load_suite
from agents.registry.import_paths import load_object
from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "examples"
ARGUMENTS = {
    "quickstart.py": [],
    "train_sb3.py": ["--steps", "256", "--num-envs", "8", "--test-images", "20"],
    "train_paper_policy.py": ["--updates", "25", "--num-envs", "8", "--test-images", "20"],
    "own_policy.py": ["--test-images", "50"],
    "own_learner.py": ["--updates", "2", "--test-images", "50"],
    "train_all_stages.py": ["--images", "128", "--epochs", "1"],
    "render_episode.py": ["--index", "3"],
}
PRINTED = {
    "quickstart.py": "look 5 at row",
    "train_sb3.py": "accuracy after each look: [",
    "train_paper_policy.py": "update 25: return",
    "own_policy.py": "BrightestCell: [",
    "own_learner.py": "accuracy after each look: [",
    "train_all_stages.py": "stage3: 100 images of the test split",
    "render_episode.py": "5 pictures",
}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


def test_the_suite_names_what_is_there(monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    suite = load_suite(str(EXAMPLES / "own_suite.toml"))
    own = [entry.policy or entry.learner for entry in suite.entries if entry.name.startswith("own")]
    assert [load_object(name).__name__ for name in own] == ["train", "BrightestCell"]


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_example(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *ARGUMENTS[name]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
    if name == "render_episode.py":
        assert len(list(tmp_path.rglob("look-*.png"))) == 5
    if name == "train_paper_policy.py":
        assert (tmp_path / "runs" / "paper_policy.safetensors").is_file()
