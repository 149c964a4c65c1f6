import dataclasses
import json

import pytest

from agents.benchmark.suite import Entry, Run, Setting

SETTING = Setting("usual")
RULE = Entry("a", policy="gaussian", settings={"std": 0.5})
LEARNER = Entry("a", learner="paper-ppo", settings={"updates": 3})


def of(part, **changes):
    return dataclasses.replace(part, **changes)


@pytest.mark.parametrize(
    ("run", "other", "same"),
    [
        (Run(RULE, SETTING, 0), Run(of(RULE, name="b", seeds=(0, 1)), SETTING, 0), True),
        (Run(RULE, SETTING, 0), Run(RULE, of(SETTING, name="b"), 0), True),
        (Run(RULE, SETTING, 0), Run(RULE, SETTING, 1), False),
        (Run(RULE, SETTING, 0), Run(of(RULE, settings={"std": 0.6}), SETTING, 0), False),
        (Run(RULE, SETTING, 0), Run(RULE, of(SETTING, num_images=5), 0), False),
        # a learner's defaults are part of what it is
        *(
            (Run(LEARNER, SETTING, 5), Run(of(LEARNER, settings=settings), SETTING, 5), same)
            for settings, same in (
                ({"updates": 3, "gamma": 0.7}, True),
                ({"updates": 3, "gamma": 0.6}, False),
            )
        ),
    ],
)
def test_a_run_is_known_by_what_it_is(run, other, same):
    assert (run.key == other.key) is same


def test_a_learners_defaults_are_in_its_description():
    spec = Run(LEARNER, SETTING, 5).spec
    settings = spec["settings"]
    assert (settings["updates"], settings["gamma"], settings["seed"]) == (3, 0.7, 5)
    json.dumps(spec, allow_nan=False)


def test_a_policy_file_that_changes_is_another_run(tmp_path):
    file = tmp_path / "policy.safetensors"
    run = Run(Entry("a", policy=str(file)), SETTING, 0)
    keys = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        keys.append(run.key)
    assert keys[0] != keys[1]


def test_what_it_learns_and_acts_with():
    task = {"lattice_stride": 12, "reward": "contrastive"}
    entry = Entry("a", learner="paper-ppo", task=task)
    assert entry.evaluation_task == {"lattice_stride": 12}
    assert entry.training_task == {**task, "feature_bank": True}
    assert of(entry, feature_bank=False).training_task == task
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
            "gama",
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
