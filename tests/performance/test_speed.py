import json
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest
from rich.console import Console

from performance import report, startup, time_to_accuracy, where_time_goes
from performance.comparison import Effort, compared_rows, plan_rounds
from performance.contenders import CORE
from performance.experiments import FULL, QUICK, experiments
from performance.memory import Peak, bytes_per_env
from performance.settings import Materials, NotMeasuredError, Workload
from performance.speed import Arguments, Name, run


def measured(folder, *only):
    arguments = Arguments(only=only, quick=True, output=folder / "made")
    return json.loads(run(arguments, Console(quiet=True)).read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    names = ("built-in", "image-size", "startup", "memory")
    return measured(tmp_path_factory.mktemp("measured"), *names)


@pytest.mark.slow
def test_comparisons_are_written_with_all_that_was_measured(found):
    assert found["quick"] is True
    assert {"cpu", "cores", "threads", "memory_bytes"} <= set(found["machine"])
    assert {"python", "torch", "gf-env"} <= set(found["versions"])
    builtin, noise = found["comparisons"]
    assert [each["experiment"] for each in (builtin, noise)] == ["built-in", "image-size"]
    assert builtin["setting"]["num_envs"] == QUICK.num_envs
    assert builtin["reference"] == "bare network"
    names = [row["contender"] for row in builtin["rows"]]
    assert names == ["bare network", "core", "vector env", "SB3 bridge"]
    for row in builtin["rows"] + noise["rows"]:
        speed = row["steps_per_second"]
        assert 0 < speed["slowest"] <= speed["median"] <= speed["fastest"]
        assert row["microseconds_per_step"] == pytest.approx(1e6 / speed["median"])
        assert row["repeats"] == len(row["seconds"])
        low, high = row["ratio_range"]
        assert 0 < low <= high


@pytest.mark.slow
def test_feature_banks_are_built_unless_they_are_too_large(found):
    builtin, noise = found["comparisons"]
    assert set(builtin["not_measured"]) == {"core, bank", "vector env, bank"}
    assert "too large" in builtin["not_measured"]["core, bank"]
    assert builtin["feature_bank"] is None
    assert not noise["not_measured"]
    assert [row["contender"] for row in noise["rows"]][-2:] == ["core, bank", "vector env, bank"]
    assert noise["feature_bank"]["images"] == QUICK.num_images
    assert noise["feature_bank"]["images_done_before"] == 0
    assert noise["feature_bank"]["build_and_open_seconds"] > 0


def test_what_was_not_measured_is_named(tmp_path):
    found = measured(tmp_path, "resnet50")
    assert found["not_measured"] == {"resnet50": "needs --device cuda"}
    assert found["comparisons"] == []
    assert {"startup", "memory"}.isdisjoint(found)


def test_command_line():
    command = [sys.executable, "-m", "performance.speed", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--only" in shown.stdout


def test_fresh_processes_say_how_long_things_took():
    found = startup._run("import gf_env; mark('import'); found['torch'] = 'torch' in sys.modules")
    assert 0 < found["import"] < 60
    assert found["torch"] is False


def test_experiments_and_contenders_by_name():
    names = {each.name for each in experiments(FULL, "cuda", compiled=True)}
    assert names | {"startup", "memory"} == set(Name.__args__)
    assert "resnet50" not in {each.name for each in experiments(FULL, "cpu", compiled=True)}

    def contenders(compiled):
        every = experiments(FULL, "cpu", compiled=compiled)
        return {each.name for made in every for each in made.contenders}

    assert contenders(True) - contenders(False) == {"core, compiled", "core, bfloat16, compiled"}


def test_faster_contenders_get_other_settings(tmp_path):
    seen = []
    contender = type(CORE)("it", lambda materials: seen.append(materials.setting))
    materials = Materials(Workload(3), tmp_path, 0)
    contender.faster(precision="bfloat16", compiled=True).prepare(materials)
    assert seen == [Workload(3, precision="bfloat16", compiled=True)]


def test_endless_splits_are_compared_with_stored_ones(tmp_path):
    vector_env, learner = measured(tmp_path, "endless")["comparisons"]
    for comparison, name in ((vector_env, "vector env"), (learner, "paper PPO update")):
        names = [row["contender"] for row in comparison["rows"]]
        assert names == [name, f"{name}, endless split"]
    task = Materials(Workload(1), tmp_path, 0).changed(num_scenes=10**7).task
    assert len(task.dataset) == 10**7


def test_rows_are_compared_with_the_first():
    # the second does twice the steps of the first in a turn, in 2, 4 and 1 seconds
    first, second = compared_rows({"a": 10, "b": 20}, {"a": (1, 2, 4), "b": (2, 4, 1)})
    assert (first.ratio, first.ratio_range) == (1, (1, 1))
    assert (second.ratio, second.ratio_range) == (2, (1, 8))
    metrics = second.metrics()
    assert metrics["steps_per_second"] == {"median": 10, "slowest": 5, "fastest": 20}
    assert metrics["microseconds_per_step"] == 1e5


@pytest.mark.parametrize(
    ("single", "passes", "rounds"),
    [
        ({"a": 0.25, "b": 1.0}, {"a": 4, "b": 1}, 10),  # a share is a second
        ({"a": 2.0, "b": 2.0}, {"a": 1, "b": 1}, 5),  # only so many can be afforded
        ({"a": 100.0, "b": 1.0}, {"a": 1, "b": 1}, 3),  # not even the fewest can
    ],
)
def test_effort_is_shared(single, passes, rounds):
    effort = Effort(seconds=20, rounds=10, fewest_rounds=3, bank_bytes=0)
    assert plan_rounds(single, effort) == (passes, rounds)


def test_memory_of_each_environment():
    assert bytes_per_env(1400, 1000, 5) == 100  # one of the five is in the 1000
    assert bytes_per_env(1000, 1000, 1) is None
    assert Peak(2000, 1000, 300).own == 700


@pytest.mark.slow
def test_memory_is_taken_in_fresh_processes(found):
    found = found["memory"]
    assert [row["num_envs"] for row in found["rows"]] == list(QUICK.memory_counts)
    for row in found["rows"]:
        own, running = row["running_bytes_without_files"], row["running_bytes"]
        assert 5e7 < own < running <= row["peak_bytes"] < 1e11  # PyTorch is in all of them
        assert (row["bytes_per_env"] is None) == (row["num_envs"] == 1)
    assert "too large" in found["not_measured"]["vector env, bank"]


def test_banks_beyond_the_limit_are_refused(tmp_path):
    setting = Workload(1, encoder="small-cnn", image_size=32, patch_size=8, num_images=2)
    with pytest.raises(NotMeasuredError, match="too large here: feature bank of 2 images"):
        _ = Materials(setting, tmp_path, bank_bytes=10).bank_task
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_report_has_every_figure(found):
    page = report.markdown(found)
    for comparison in found["comparisons"]:
        assert f"**{comparison['title']}**" in page
        for row in comparison["rows"]:
            assert f"| {row['contender']} | {row['steps_per_second']['median']:,.0f} |" in page
    assert f"{found['startup']['seconds']['first gym.make']['median'] * 1e3:,.1f}" in page
    for row in found["memory"]["rows"]:
        assert f"| {row['contender']} | {row['num_envs']:,} |" in page
    assert found["machine"]["cpu"] in page


def test_kinds_of_work_add_up_to_the_whole(tiny_network, tiny_dataset):
    task = {"network": tiny_network, "dataset": tiny_dataset}
    episode = where_time_goes.episode_of(4, id="GlanceFocus-v0", **task)
    found = where_time_goes.shares(episode, 3)
    assert set(found) == {*where_time_goes.KINDS, where_time_goes.OTHER, where_time_goes.REST}
    assert all(value >= 0 for value in found.values())
    network = ("convolutions", "batch normalisation", "classifier (GRU cell, linear)")
    assert all(found[name] > 0 for name in network)


def test_a_training_is_timed_until_it_has_the_accuracy(
    tiny_network, tiny_dataset, monkeypatch, tmp_path, capsys
):
    variants = {"tiny": {"network": tiny_network, "dataset": tiny_dataset}}
    tested = [SimpleNamespace(accuracy=[0, each]) for each in (0.2, 0.9, *[0.1] * 5, 0.9)]
    monkeypatch.setattr(time_to_accuracy, "VARIANTS", variants)
    monkeypatch.setattr(time_to_accuracy, "evaluate", mock.Mock(side_effect=tested))
    arguments = time_to_accuracy.Arguments(accuracy=0.8, every=2, updates=9)
    done = time_to_accuracy.train("tiny", 0, arguments)
    assert (done.reached, done.updates, done.accuracy) == (True, 4, 0.9)
    assert done.seconds > 0
    never = time_to_accuracy.train("tiny", 0, arguments)
    assert (never.reached, never.updates) == (False, 9)
    output = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["", "--seeds", "3", "--output", str(output)])
    time_to_accuracy.main()
    (run,) = json.loads(output.read_text())["runs"]
    assert (run["variant"], run["seed"], run["reached"]) == ("tiny", 3, True)
    assert "1 of 1" in capsys.readouterr().out
