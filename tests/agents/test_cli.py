import importlib
import inspect
import itertools
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import gymnasium
import numpy as np
import pytest
from PIL import Image

import gf_env
from agents import MapPolicy, load_policy
from agents.cli import COMMANDS, HELP, main, parse
from agents.help_pages import make_help
from agents.stages import presets
from agents.stages.folders import claim_folder
from gf_env.storage.files import only_process
from tests.helpers.image_trees import cut_off, write_image, write_stripes
from tests.helpers.paths import ROOT
from tests.helpers.quick_training import quick_arguments


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Commands write to folders of their own by default."""
    monkeypatch.chdir(tmp_path)


def run(*arguments, cwd=None, path=()):
    """Run Python in a process of its own, which finds modules in `path` first."""
    python_path = os.pathsep.join([*map(str, path), str(Path(gf_env.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": python_path},
    )


@pytest.mark.parametrize("module", ["gf_env", "agents"])
@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--help"], COMMANDS),
        (["--version"], ["gf-env", version("gf-env")]),
        (["train", "--help"], ["gf-env train", "--recipe.patch-size"]),
        (["info", "-h"], ["gf-env info"]),
    ],
    ids=["help", "version", "train", "info"],
)
def test_help_and_version_load_no_torch(module, arguments, words):
    done = run("-X", "importtime", "-m", module, *arguments)
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & {"torch", "scipy", "tyro", "matplotlib"}
    assert all(word in done.stdout for word in words)


@pytest.mark.skipif(
    f"tyro=={version('tyro')}" not in (ROOT / "constraints.txt").read_text().splitlines(),
    reason="other versions of tyro say it otherwise",
)
@pytest.mark.parametrize("name", COMMANDS)
def test_help_in_files_is_what_commands_say(name):
    """In words: a narrower terminal has other boxes."""

    def words(text):
        return [word for word in text.split() if word.strip("╭╮╰╯─│┌┐└┘ ")]

    kept = (HELP / f"{name}.txt").read_text(encoding="utf-8")
    assert words(kept) == words(make_help(name)), "run python -m agents.help_pages"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_is_what_they_say_themselves(name):
    command = getattr(importlib.import_module(f"agents.commands.{name}"), name.capitalize())
    assert inspect.getdoc(command).splitlines()[0] == COMMANDS[name]


@pytest.mark.parametrize("beside", [True, False], ids=["in its place", "before it"])
def test_another_package_of_the_name_agents_is_named(tmp_path, beside):
    other = tmp_path / "agents"
    other.mkdir()
    (other / "__init__.py").write_text('"""Agents of another kind."""')
    if beside:  # installed second, over ours
        (tmp_path / "gf_env").mkdir()
        for name in ("__init__.py", "__main__.py"):
            text = (
                "" if name == "__init__.py" else Path(gf_env.__file__).with_name(name).read_text()
            )
            (tmp_path / "gf_env" / name).write_text(text)
    done = run("-m", "gf_env", "--help", path=[tmp_path])
    assert done.returncode == 1
    assert f"is hidden by another of that name, {other}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "validation", "test"), ("train", "train", "validation", "test")),
        (("train", "test"), ("train", "train", "test", "test")),
        (("train", "val"), ("train", "train", "validation", "validation")),
        (("pretrain", "train", "test"), ("pretrain", "train", "test", "test")),
    ],
)
@pytest.mark.parametrize("preset", ["cluttered-digits", "mobilenetv3"])
def test_splits_are_those_of_the_data_set(folders, expected, preset):
    for name in folders:
        Path("images", name).mkdir(parents=True)
    Path("settings.json").write_text(json.dumps({"data": {"dataset": "images"}}))
    for given in (["--data.dataset", "images"], ["--config", "settings.json"]):
        data = parse(["train", "--preset", preset, *given]).training.data
        used = (data.network_split, data.policy_split, data.validation_split, data.test_split)
        assert used == expected
        chosen = parse(["train", "--preset", preset, *given, "--data.test-split", "other"])
        assert chosen.training.data.test_split == "other"
    digits = parse(["train", "--preset", preset, "--data.dataset", "signposts"]).training.data
    assert digits.network_split == "pretrain"


def test_without_a_connection_nothing_is_left(tmp_path, capsys, monkeypatch):
    stripes = write_stripes(tmp_path / "images", counts=(6, 3, 3))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    session = mock.Mock(head=mock.Mock(side_effect=RuntimeError("no such host")))
    monkeypatch.setattr("huggingface_hub.get_session", lambda: session)
    arguments = ["train", "--preset", "mobilenetv3", "--data.dataset", str(stripes)]
    for _ in range(2):  # the first try is not in the way of the second
        assert main(arguments) == 1
        said, error = (" ".join(each.split()) for each in capsys.readouterr())
        assert "the metrics at the end are of test." in said
        assert "weights of mobilenetv3_large_100 cannot be fetched" in error
        assert "no such host" in error
        assert "--given.full-resolution FILE" in error
        assert not Path("runs/network").exists()


def test_info(call):
    printed = call("info")
    assert "small-cnn" in printed
    assert "multiply-adds" in printed


def test_train_evaluate_and_curves(tmp_path, call):
    stripes = write_stripes(tmp_path / "images", counts=(24, 12, 12))
    printed = call("train", *quick_arguments(stripes, "--output", "run"))
    assert "stage3: 12 images of the test split" in printed
    report = json.loads(Path("run/stage3/figures.json").read_text())
    assert len(report["accuracy_per_look"]["paper_policy"]) == 5
    assert report["config"]["recipe"]["stage1"]["epochs"] == 1
    assert gf_env.load_network("run/stage1/best.safetensors").config.patch_size == 8

    network, policy = "run/stage3/best.safetensors", "run/stage2/best.safetensors"
    used = ["--network", network, "--dataset", stripes]
    printed = call("evaluate", policy, *used, "--no-oracle")
    assert "12 images of test" in printed
    assert "images leave once the network is sure" in printed
    assert "oracle" not in printed

    arguments = quick_arguments(stripes, "--network", network, "--policy", policy)
    measured = ["--sizes", "8", "12", "16", "--timing.threads", "1", "--timing.repeats", "1"]
    call("curves", *arguments, *measured, "--trainings", "run", "run")
    curves = json.loads(Path("runs/curves/curves.json").read_text())
    assert [each["name"] for each in curves["pairs"]] == [network, "run", "run"]
    assert curves["pairs"][0]["test"] == curves["pairs"][1]["test"]
    for last in Path("runs/plain").glob("*/last.safetensors"):
        last.unlink()  # as where the networks were brought from elsewhere
    before = {path: path.stat().st_mtime_ns for path in Path("runs/plain").glob("*/best.*")}
    pair = "runs/curves/pairs/1-run.json"
    call("curves", *arguments, *measured, "--output", "again", "--trainings", pair, pair)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    again = json.loads(Path("again/curves.json").read_text())
    assert again["pairs"][1] == {**curves["pairs"][1], "name": pair}
    assert [each["batch_size"] for each in curves["time"]] == [64, 1]
    found = {(point["curve"], point["setting"]) for point in curves["points"]}
    assert {("plain", 8.0), ("plain", 12.0), ("plain", 16.0), ("anytime", 5.0)} <= found
    assert len([curve for curve, _ in found if curve == "budgeted"]) == 39
    assert "| 16 |" in Path("runs/curves/report.md").read_text()
    for name in ("multiply_adds", "seconds"):
        with Image.open(f"runs/curves/{name}.png") as picture:
            assert picture.width > 500


def test_settings_from_preset_file_and_command_line():
    recipe = {"stage1": {"epochs": 7}, "train_global_encoder": False, "image_size": None}
    Path("settings.json").write_text(json.dumps({"recipe": recipe, "precision": "float32"}))
    given = [["--preset", "regnet"], ["--config", "settings.json"]]
    changes = ["--recipe.patch-size", "64", "--recipe.stage1.epochs", "9"]
    for arguments in ([*given, changes], [changes, *reversed(given)]):
        training = parse(["train", *itertools.chain(*arguments)]).training
        assert training.recipe.encoder == "regnety_600m"
        assert training.recipe.stage1.epochs == 9  # the command line has the last word
        assert training.recipe.stage1.learning_rate == 0.02  # the preset's, which none changed
        assert training.recipe.patch_size == 64
        assert training.recipe.train_global_encoder is False
        assert training.recipe.image_size is None
        assert training.precision == "float32"
    assert parse(["curves", *itertools.chain(*given)]).training.recipe.stage1.epochs == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": {"stage1": {"epoch": 7}}}, "recipe.stage1.epoch"),
        ({"recipe": {"stage1": {"epochs": -7}}}, "recipe.stage1.epochs must be"),
        ({"recipe": 3}, "recipe must be"),
        ({"precision": "half"}, "precision must be 'auto', 'float32' or 'bfloat16', got 'half'"),
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
    training = presets.preset(name).config
    claim_folder(tmp_path, training, resume=False)
    assert parse(["train", "--config", str(tmp_path / "config.json")]).training == training


def test_two_trainings_in_one_folder(tmp_path, capsys):
    with only_process(tmp_path / "run", "training"):
        assert main(["train", "--resume", "--output", str(tmp_path / "run")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "another process is training in" in said and "choose another folder" in said


@pytest.mark.parametrize("settings", ["[" * 100_000, None], ids=["deep", "a pipe"])
def test_settings_that_cannot_be_read(settings, capsys):
    if settings is None:
        os.mkfifo("settings.json")
    else:
        Path("settings.json").write_text(settings)
    assert main(["train", "--config", "settings.json"]) == 1
    assert "expected a JSON file of settings" in " ".join(capsys.readouterr().err.split())


def test_a_training_is_resumed_only_when_asked(tmp_path, call, capsys):
    stripes = write_stripes(tmp_path / "images", counts=(24, 12, 12))
    only = ["--phases", "full_resolution", "--no-figures"]
    arguments = ["train", *quick_arguments(stripes, *only)]
    call(*arguments)
    assert main(arguments) == 1
    assert "--resume" in capsys.readouterr().err
    call(*arguments, "--resume")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--grid-size", "2"], ["GlanceFocusGrid-v0", "grid_size=2", "feature_bank=True"]),
        (["--grid-size", "2", "--output", "my bank.npy"], ['feature_bank="my bank.npy"']),
        (["--lattice-stride", "50"], ["GlanceFocus-v0", "lattice_stride=50"]),
    ],
)
def test_bank(tmp_path, call, settings, words):
    for number in range(10):  # the built-in network's classes
        image = Image.new("L", (96, 96), 25 * number)
        write_image(tmp_path / "ten" / "test" / str(number) / "0.png", image)
    arguments = ["bank", "--dataset", tmp_path / "ten", "--split", "test", *settings]
    said = call(*arguments)
    expected = ("feature bank of 10 images: 0.00 GB in ", "10/10", "Built in ")
    assert all(each in said for each in expected)
    use = said.splitlines()[-1].removeprefix("Use: ")
    assert all(word in use for word in words)
    env = eval(use, {"gym": gymnasium})
    path = Path(next(line for line in said.splitlines() if " MB in " in line).split(" MB in ")[1])
    assert np.load(path).nbytes == env.unwrapped.task.glimpse_source.num_bytes

    said = call(*arguments)
    assert "Already built, and every byte is as it was written." in said
    assert said.splitlines()[-1] == f"Use: {use}"
    whole = path.read_bytes()
    cut_off(path)
    said = call(*arguments)
    assert "does not match its checksums" in said
    assert "Built in " in said
    assert path.read_bytes() == whole


def test_a_task_at_a_level(call):
    task = ["--dataset", "hidden-digits", "--level", "easy"]
    said = call("evaluate", *task, "--num-images", 5)
    assert "5 images of test" in said
    said = call("bank", *task, "--num-scenes", 20)
    use = said.splitlines()[-1].removeprefix("Use: ")
    assert use.startswith('gym.make("GlanceFocusSearchGrid-v0", level="easy", num_scenes=20')
    env = eval(use, {"gym": gymnasium})
    assert env.action_space.n == 9
    assert env.unwrapped.task.dataset.name == "hidden-digits-easy"


def test_demo(call):
    seconds = ["--train-seconds", 1, "--sb3-seconds", 1, "--map-seconds", 1]
    said = call("demo", "--output", "demo", *seconds, "--test-images", 30)
    assert "gap closed" in said
    assert "Q-learning on a map: mean return" in said
    policies = ["map_policy.safetensors", "paper_policy.safetensors"]
    made = ["accuracy.png", "episodes.png", *policies, "results.json"]
    assert sorted(os.listdir("demo")) == sorted([*made, "manifest.json"])
    assert sorted(json.loads(Path("demo/manifest.json").read_text())["files"]) == made
    assert isinstance(load_policy("demo/map_policy.safetensors"), MapPolicy)
    results = json.loads(Path("demo/results.json").read_text())
    assert [row["name"] for row in results["policies"]] == [
        "random",
        "centre",
        "centre, then corners",
        "SB3 PPO",
        "paper's policy",
        "Q-learning on a map",
        "greedy oracle (sees labels)",
    ]


def test_too_little_memory_is_one_line(capsys, monkeypatch):
    refused = mock.Mock(side_effect=MemoryError("the feature bank has 9.00 GB, but cuda has less"))
    monkeypatch.setattr("agents.commands.bank.BankFile.is_built", refused)
    assert main(["bank", "--split", "test"]) == 1
    assert capsys.readouterr().err.startswith("gf-env: the feature bank has 9.00 GB")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing"], "unknown network 'nothing'"),
        ([], "the following arguments are required: COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["train", "--preset", "mobilenetv3", "--given.full-resolution", "None"], "untrained"),
        (["train", "--recipe.stage1.epochs", "0"], "its classifier would be untrained"),
        (["evaluate", "--split", "dev"], "unknown split 'dev'"),
        (["evaluate", "--further", "9", "--num-images", "9"], "leave num_images out"),
        (["train", "--data.dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "--recipe.stage1.epochs", "-1"], "epochs must be greater than or equal to 0"),
        (["train", "--preset", "alexnet"], "unknown preset 'alexnet'; choose one of"),
        (["train", "--config", "nothing.json"], "expected a JSON file of settings"),
        (["train", "--phases", "stage4", "--output", "x"], "invalid choice 'stage4'"),
        (["curves", "--sizes", "97"], "sizes must be from 1 to 96"),
        (["bank", "--dataset", "signposts", "--level", "medium"], "unknown level 'medium'"),
        (["bank", "--grid-size", "3", "--lattice-stride", "4"], "leave it or grid_size out"),
        (["bank", "--output", "bank.bin"], "ends with .npy, got bank.bin"),
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
