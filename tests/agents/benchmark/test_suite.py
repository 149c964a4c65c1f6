import dataclasses
import json

import pytest

from agents.benchmark.suite import Entry, Setting, Suite
from agents.benchmark.suite_files import load_suite, suite_names


def write(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


MINE = """
description = "two learners"
seeds = [0, 3]
include = ["references"]
reference = "short"

[base]
learner = "paper-ppo"
settings = { updates = 5, gamma = 0.5 }
task = { lattice_stride = 12 }

[[settings]]
name = "short"
sequence_length = 3

[[settings]]
name = "long"
num_images = 10

[[policies]]
name = "short"

[[policies]]
name = "other"
settings = { gamma = 0.9 }
task = { reward = "correctness_gain" }
seeds = [7]
"""


def test_a_file(tmp_path):
    suite = load_suite(write(tmp_path, MINE))
    assert suite.name == "mine"
    assert [entry.name for entry in suite.entries] == ["random", "greedy oracle", "short", "other"]
    other = suite.entries[3]
    assert other.settings == {"updates": 5, "gamma": 0.9}
    assert other.task == {"lattice_stride": 12, "reward": "correctness_gain"}
    assert other.seeds == (7,)
    assert suite.settings[0].sequence_length == 3
    assert suite.settings[1].num_images == 10


def test_runs_go_seed_by_seed(tmp_path):
    """A suite that is broken off then has some of all."""
    suite = load_suite(write(tmp_path, MINE))
    runs = [(run.seed, run.setting.name, run.entry.name) for run in suite.runs()]
    assert runs == [
        *((0, "short", name) for name in ("random", "greedy oracle", "short")),
        *((0, "long", name) for name in ("random", "greedy oracle", "short")),
        *((3, setting, name) for setting in ("short", "long") for name in ("random", "short")),
        *((7, setting, "other") for setting in ("short", "long")),
    ]


def test_a_run_is_known_by_what_it_is():
    entry = Entry("a", policy="gaussian", settings={"std": 0.5})
    setting = Setting("usual")
    suite = Suite("s", "", (0,), (setting,), (entry,))
    (run,) = suite.runs()
    json.dumps(run.spec)
    same = dataclasses.replace(run, entry=dataclasses.replace(entry, name="b", seeds=(0, 1)))
    assert same.key == run.key
    for changed in (
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, entry=dataclasses.replace(entry, settings={"std": 0.6})),
        dataclasses.replace(run, setting=dataclasses.replace(setting, num_images=5)),
    ):
        assert changed.key != run.key


def test_a_learners_defaults_are_part_of_what_a_run_is():
    entry = Entry("a", learner="paper-ppo", settings={"updates": 3})
    (run,) = Suite("s", "", (5,), (Setting("usual"),), (entry,)).runs()
    settings = run.spec["settings"]
    assert (settings["updates"], settings["gamma"], settings["seed"]) == (3, 0.7, 5)
    json.dumps(run.spec, allow_nan=False)
    spelled = dataclasses.replace(entry, settings={"updates": 3, "gamma": 0.7})
    assert dataclasses.replace(run, entry=spelled).key == run.key
    other = dataclasses.replace(entry, settings={"updates": 3, "gamma": 0.6})
    assert dataclasses.replace(run, entry=other).key != run.key


def test_a_policy_file_that_changes_is_another_run(tmp_path):
    file = tmp_path / "policy.safetensors"
    file.write_bytes(b"one")
    suite = Suite("s", "", (0,), (Setting("usual"),), (Entry("a", policy=str(file)),))
    (before,) = (run.key for run in suite.runs())
    file.write_bytes(b"two")
    (after,) = (run.key for run in suite.runs())
    assert before != after


def test_what_it_learns_and_acts_with():
    task = {"lattice_stride": 12, "reward": "contrastive"}
    entry = Entry("a", learner="paper-ppo", task=task)
    assert entry.evaluation_task == {"lattice_stride": 12}
    assert entry.training_task == {**task, "feature_bank": True}
    assert dataclasses.replace(entry, feature_bank=False).training_task == task
    everywhere = Entry("a", learner="paper-ppo", task={"precision": "bfloat16"})
    assert everywhere.training_task == {"precision": "bfloat16"}
    assert everywhere.evaluation_task == {}


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"policy": "raster"}, "rule"),
        ({"policy": "greedy-oracle"}, "bound"),
        ({"policy": "my.module:Policy"}, "given"),
        ({"policy": "policy.safetensors"}, "given"),
        ({"learner": "reinforce"}, "learner"),
    ],
)
def test_kinds(entry, kind):
    assert Entry("a", **entry).kind == kind


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a"}, "'a' needs either a policy or a learner"),
        ({"name": "a", "policy": "random", "learner": "reinforce"}, "either"),
        ({"name": "", "policy": "random"}, "name String should have at least 1 character"),
        ({"name": "a", "learner": "alchemy"}, "unknown learner 'alchemy'.*paper-ppo"),
        ({"name": "a", "learner": "paper-ppo", "settings": {"gamma": 2}}, "gamma must be"),
        (
            {"name": "a", "learner": "paper-ppo", "settings": {"gama": 1}},
            "do not fit paper-ppo.*gama",
        ),
        ({"name": "a", "policy": "random", "task": {"split": "test"}}, "task arguments.*'split'"),
        (
            {"name": "a", "policy": "random", "task": {"grid_size": 7, "lattice_stride": 9}},
            "has both grid_size and lattice_stride",
        ),
        ({"name": "a", "policy": "random", "seeds": []}, "different whole numbers"),
        ({"name": "a", "policy": "random", "seeds": (1, 1)}, "different whole numbers"),
        (
            {"name": "a", "policy": "random", "seeds": (-1,)},
            r"seeds\.0 must be greater than or equal to 0",
        ),
    ],
)
def test_entries_that_cannot_be(entry, message):
    with pytest.raises(ValueError, match=message):
        Entry(**entry)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"split": "train"}, "must be other images"),
        ({"threshold_split": "test"}, "must be other images"),
        ({"num_images": 0}, "num_images must be greater than 0"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ValueError, match=message):
        Setting("usual", **setting)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [0", "cannot be read"),
        ("seeds = [0]\ndescription = ''", "has no policies"),
        ("seeds = [0]\n[[policies]]\nname = 'a'\npolicy = 'random'", "description"),
        ("seeds = [0]\ndescription = ''\n[[policies]]\nname = 'a'\npolices = 'random'", "polices"),
        ("seeds = [0]\ndescription = ''\ncolour = 1\n[[policies]]\nname='a'\npolicy='a'", "colour"),
        ("include = ['references']\n" * 1 + "description = ''\nseeds = [0]\n"
         "[[policies]]\nname = 'random'\npolicy = 'random'", "twice: \\['random'\\]"),
        ("include = ['nothing']\ndescription = ''\nseeds = [0]", "unknown suite 'nothing'"),
    ],
)  # fmt: skip
def test_files_that_cannot_be(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_suite(write(tmp_path, text))


def test_a_name_that_is_none():
    with pytest.raises(
        ValueError, match=r"unknown suite 'nothing': neither a file nor one of.*rules"
    ):
        load_suite("nothing")


@pytest.mark.parametrize("name", suite_names())
def test_suites_that_come_with_the_package(name):
    suite = load_suite(name)
    assert suite.description
    names = {entry.name for entry in suite.entries}
    assert {suite.random, suite.oracle, suite.reference} <= names
    learners = [entry for entry in suite.entries if entry.kind == "learner"]
    assert all(len(entry.seeds or suite.seeds) >= 5 for entry in learners)
    keys = [run.key for run in suite.runs()]
    assert len({*keys}) == len(keys)
