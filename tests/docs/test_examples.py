"""Every example runs as it stands, here with small numbers."""

import runpy
import sys

import pytest

from agents.benchmark.suite_files import load_suite
from gf_env.import_paths import load_object
from tests.helpers.paths import ROOT
from tests.helpers.slow import slow_but

EXAMPLES = ROOT / "examples"
ARGUMENTS_AND_PRINTED = {
    "quickstart.py": ("", "look 5 at row"),
    "train_sb3.py": ("--steps 1024 --num-envs 64 --test-images 20", "accuracy after each look: ["),
    "train_paper_policy.py": ("--updates 25 --num-envs 8 --test-images 20", "update 25: return"),
    "cleanrl_style_ppo.py": (
        "--num-scenes 64 --num-envs 16 --total-timesteps 512",
        "512 steps: episodic return ",
    ),
    "first_look.py": ("--num-scenes 512 --test-scenes 20 --epochs 1", "pixels of the glance: {"),
    "own_policy.py": ("--test-images 50", "BrightestCell: ["),
    "own_images.py": ("--seed 3", "reward "),
    "own_learner.py": ("--updates 2 --test-images 50", "accuracy after each look: ["),
    "train_all_stages.py": (
        "--images 128 --epochs 1 --image-size 48 --patch-size 16",
        "stage3: 100 images of the test split",
    ),
    "render_episode.py": ("--index 3", "5 pictures"),
}


LONG = {"train_all_stages.py"}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS_AND_PRINTED)


def test_the_suite_names_what_is_there(monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    suite = load_suite(str(EXAMPLES / "own_suite.toml"))
    own = [entry.policy or entry.learner for entry in suite.entries if entry.name.startswith("own")]
    assert [load_object(name).__name__ for name in own] == ["train", "BrightestCell"]


@pytest.mark.parametrize(
    "name", slow_but({*ARGUMENTS_AND_PRINTED} - LONG, sorted(ARGUMENTS_AND_PRINTED))
)
def test_example(name, tmp_path, monkeypatch, capsys):
    arguments, printed = ARGUMENTS_AND_PRINTED[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)  # as for a script
    monkeypatch.setattr(sys, "argv", [name, *arguments.split()])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert printed in capsys.readouterr().out
    if name == "render_episode.py":
        assert len(list(tmp_path.rglob("look-*.png"))) == 5
    if name == "train_paper_policy.py":
        assert (tmp_path / "runs" / "paper_policy.safetensors").is_file()
