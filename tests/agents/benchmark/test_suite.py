import dataclasses
import json

import pytest

from agents.benchmark.suite import Entry, Run, Setting, Suite

SETTING = Setting("usual")
RULE = Entry("a", policy="gaussian", settings={"std": 0.5})
LEARNER = Entry("a", learner="paper-ppo", settings={"updates": 3})


def of(part, **changes):
    return dataclasses.replace(part, **changes)


@pytest.mark.parametrize(
    ("entry", "changes", "setting", "seed", "same"),
    [
        (RULE, {"name": "b", "seeds": (0, 1)}, {}, 0, True),
        (RULE, {}, {"name": "b"}, 0, True),
        (RULE, {}, {}, 1, False),
        (RULE, {"settings": {"std": 0.6}}, {}, 0, False),
        (RULE, {}, {"num_images": 5}, 0, False),
        (RULE, {}, {"network": "cluttered-digits"}, 0, True),
        (RULE, {}, {"level": "default"}, 0, True),
        (RULE, {}, {"level": "easy"}, 0, False),
        # a learner's defaults are part of what it is
        (LEARNER, {"settings": {"updates": 3, "gamma": 0.7}}, {}, 0, True),
        (LEARNER, {"settings": {"updates": 3, "gamma": 0.6}}, {}, 0, False),
    ],
)
def test_a_run_is_known_by_what_it_is(entry, changes, setting, seed, same):
    other = Run(of(entry, **changes), of(SETTING, **setting), seed)
    assert (Run(entry, SETTING, 0).key == other.key) is same


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
    shorter = Entry("a", learner="paper-ppo", task={"sequence_length": 2, "num_scenes": 10**7})
    assert shorter.training_task == shorter.task
    assert shorter.evaluation_task == {"sequence_length": 2}
    stopping = Entry("a", learner="paper-ppo", task={"stop": True, "look_cost": 0.01})
    assert stopping.training_task == stopping.task
    assert stopping.evaluation_task == {"look_cost": 0.01}
    assert (stopping.look_cost, shorter.look_cost) == (0.01, 0)


def test_a_level_is_a_data_set_of_its_own():
    easy = Setting("usual", dataset="signposts", level="easy")
    assert easy.played_with[:2] == ("signposts-easy", "signposts")
    by_name = Setting("usual", dataset="signposts-easy")
    assert Run(RULE, easy, 0).spec == Run(RULE, by_name, 0).spec
    arguments = of(easy, network="cluttered-digits", sequence_length=4).task_arguments("train")
    assert arguments.pop("network").config.encoder == "small-cnn"
    assert arguments == {"dataset": "signposts-easy", "sequence_length": 4, "split": "train"}


def test_a_suite_at_another_level():
    suite = Suite("mine", "a test", (0,), (SETTING, Setting("b", dataset="signposts")), (RULE,))
    assert suite.at_level("default") is suite
    hard = suite.at_level("hard")
    assert hard.name == "mine-hard"
    assert [each.name for each in hard.settings] == ["usual, hard", "b, hard"]
    names = [each.played_with.dataset for each in hard.settings]
    assert names == ["cluttered-digits-hard", "signposts-hard"]


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("raster", "rule"),
        ("greedy-oracle", "bound"),
        ("my.module:Policy", "given"),
        ("policy.safetensors", "given"),
    ],
)
def test_kinds(policy, kind):
    assert Entry("a", policy=policy).kind == kind
    assert LEARNER.kind == "learner"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "'a' needs either a policy or a learner"),
        ({"policy": "random", "learner": "reinforce"}, "either"),
        ({"policy": "random", "name": ""}, "name String should have at least 1 character"),
        ({"learner": "alchemy"}, "unknown learner 'alchemy'.*paper-ppo"),
        ({"learner": "paper-ppo", "settings": {"gamma": 2}}, "gamma must be less than or equal"),
        ({"learner": "paper-ppo", "settings": {"gama": 1}}, "gama Unexpected keyword"),
        ({"policy": "random", "task": {"split": "test"}}, "task arguments.*'split'"),
        ({"policy": "random", "task": {"grid_size": 7, "lattice_stride": 9}}, "has both grid_size"),
        ({"policy": "random", "seeds": []}, "different whole numbers"),
        ({"policy": "random", "seeds": (1, 1)}, "different whole numbers"),
        ({"policy": "random", "seeds": (-1,)}, r"seeds\.0 must be greater than or equal to 0"),
    ],
)
def test_entries_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        Entry(**{"name": "a", **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": "train"}, "must be other images"),
        ({"threshold_split": "test"}, "must be other images"),
        ({"num_images": 0}, "num_images must be greater than 0"),
        ({"level": "simple"}, "unknown level 'simple'.*easy.*default.*hard"),
        ({"dataset": "photos", "level": "easy"}, "'photos' has no level 'easy'.*signposts"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        Setting("usual", **fields)
