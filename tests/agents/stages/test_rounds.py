"""Stage 2 with any learner, stage 3 on the looks of any policy, in turn."""

import contextlib
import dataclasses
import functools
import json
from unittest import mock

import pytest
from rich.console import Console

import agents
from agents.learners.supervisor import Supervisor
from agents.policies.belief_search import BeliefPolicy
from agents.policies.map_policy import MapPolicy
from agents.policies.recurrent import RecurrentPolicy
from agents.stages import policy_phase
from agents.stages.config import PolicyConfig, TrainConfig
from agents.stages.network_report import write_network_metrics
from agents.stages.run import TrainingRun
from gf_env.network.glance_focus_net import load_network
from gf_env.training.checkpoints import load_state
from tests.agents.policies.made import belief_policy, paper_policy
from tests.agents.stages.test_run import quick_config, train
from tests.helpers.image_trees import write_stripes
from tests.helpers.quick_training import content

STAGES = ("stage2", "stage3")
BELIEF = {"places": 4, "hidden_size": 8, "evidence_size": 4, "margin": 0.0, "epochs": 1}
POLICIES = {
    "belief": (PolicyConfig("belief", BELIEF, grid_size=3), BeliefPolicy),
    "recurrent-ppo": (
        PolicyConfig("recurrent-ppo", {"updates": 2, "num_envs": 8, "hidden_size": 8}),
        RecurrentPolicy,
    ),
    "reinforce": (
        PolicyConfig("reinforce", {"updates": 2, "num_envs": 8, "hidden_size": 8}, grid_size=3),
        RecurrentPolicy,
    ),
    "map-ppo": (
        PolicyConfig("map-ppo", {"updates": 2, "num_envs": 8, "hidden_size": 8}, grid_size=3),
        MapPolicy,
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="module")
def start(tree, tmp_path_factory):
    """A configuration whose network is given."""
    folder = tmp_path_factory.mktemp("start")
    quick = quick_config(tree)
    phases = ("full_resolution", "low_resolution", "stage1")
    short = {phase: dataclasses.replace(quick.recipe.stage1, epochs=1) for phase in phases}
    short["stage3"] = short["stage1"]
    run = train(quick_config(tree, recipe=short), folder, phases)
    given = dataclasses.replace(quick.given, network=str(run.place("stage1").best))
    return quick_config(tree, recipe=short, given=given)


@pytest.mark.parametrize("name", POLICIES)
def test_any_learner_of_networks(start, name, tmp_path):
    policy, kind = POLICIES[name]
    run = train(dataclasses.replace(start, policy=policy), tmp_path, STAGES)
    made = agents.load_policy(run.place("stage2").best)
    assert type(made) is kind
    assert made.grid_size == policy.grid_size
    before, after = (
        load_network(source).classifier.fc.weight
        for source in (start.given.network, run.place("stage3").last.with_name("best.safetensors"))
    )
    assert before.shape == after.shape
    write_network_metrics(run, Console(quiet=True))
    report = json.loads((run.place("stage3").path / "figures.json").read_text())
    assert len(report["accuracy_per_look"][f"{name}_policy"]) == 5


def test_rounds_take_turns_and_end_with_a_policy(start, tmp_path):
    config = dataclasses.replace(start, policy=POLICIES["belief"][0], rounds=3)
    run = train(config, tmp_path, STAGES)
    made = sorted(path.name for path in tmp_path.iterdir())
    rounds = ["stage2", "stage2-round-2", "stage2-round-3", "stage3", "stage3-round-2"]
    assert made == rounds
    # the best epoch may be the one before the first; the last one has learned
    networks = [content(run.place("stage3", number).last) for number in (1, 2)]
    assert networks[0] != networks[1]
    write_network_metrics(run, Console(quiet=True))
    assert (run.place("stage3", 2).path / "figures.json").is_file()


def test_rounds_need_both_stages(start, tmp_path):
    config = dataclasses.replace(start, rounds=2)
    with pytest.raises(ValueError, match=r"2 rounds are of stage2 and stage3.*\['stage3'\]"):
        train(config, tmp_path, ["stage3"])


@pytest.mark.parametrize("stopped_in", ["stage2", "stage3", "stage2-round-2"])
def test_stopped_and_resumed_rounds_end_with_the_same_files(start, tmp_path, stopped_in):
    config = dataclasses.replace(start, policy=POLICIES["belief"][0], rounds=2)
    whole = train(config, tmp_path / "whole", STAGES)
    place = TrainingRun.place

    def interrupted(self, phase, number=1):
        found = place(self, phase, number)
        if found.path.name == stopped_in:
            raise KeyboardInterrupt
        return found

    with mock.patch.object(TrainingRun, "place", interrupted), pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "stopped", STAGES)
    resumed = train(config, tmp_path / "stopped", STAGES)
    for phase, number in (("stage2", 1), ("stage3", 1), ("stage2", 2)):
        mine, theirs = (each.place(phase, number).best for each in (resumed, whole))
        assert content(mine) == content(theirs), (phase, number)


def test_a_learner_that_is_killed_is_resumed(start, tmp_path, monkeypatch):
    config = dataclasses.replace(start, policy=POLICIES["map-ppo"][0])
    whole = train(config, tmp_path / "whole", ["stage2"])
    monkeypatch.setattr(
        policy_phase, "Supervisor", functools.partial(Supervisor, seconds_between=0)
    )
    logged = []

    def killed(path, step):
        @contextlib.contextmanager
        def log():
            yield lambda metrics, number: logged.append(number) or (1 / (2 - number))

        return log()

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(policy_phase, "open_log", killed)
        train(config, tmp_path / "killed", ["stage2"])
    assert logged == [1, 2]
    last = whole.place("stage2").last.relative_to(tmp_path / "whole")
    assert load_state(tmp_path / "killed" / last)["learner"]["done"] == 1
    resumed = train(config, tmp_path / "killed", ["stage2"]).place("stage2")
    assert content(resumed.best) == content(whole.place("stage2").best)
    assert not resumed.last.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learner": "nobody"}, "unknown learner 'nobody'"),
        ({"learner": "belief", "settings": {"places": 0}}, "places"),
        ({"learner": "belief", "settings": {"width": 3}}, "width"),
        ({"learner": "sb3-ppo"}, r"do not choose on tensors; choose one of \['paper-ppo'"),
        ({"learner": "stopping"}, "do not choose on tensors"),
        ({"settings": {"epochs": 3}}, "settings of paper-ppo are those of stage2"),
        ({"grid_size": 0}, "grid_size"),
    ],
)
def test_impossible_learners(settings, message):
    with pytest.raises(ValueError, match=message):
        PolicyConfig(**settings)


def test_policies_that_cannot_steer_are_refused_before_anything_is_trained(start, tmp_path, tree):
    other = tmp_path / "other.safetensors"
    belief_policy().save(other)  # of 32 x 32 images
    paper = tmp_path / "paper.safetensors"
    paper_policy().save(paper)  # of smaller feature maps
    stopping = tmp_path / "stopping.safetensors"
    agents.StopWhenSure(belief_policy(), 0.5).save(stopping)
    for path, message in (
        (other, r"made for images and patches of \(32, 16\) pixels, the network is for \(16, 8\)"),
        (paper, r"sees features of shape \(n, 4, 2, 2\), got"),
        (stopping, "StopWhenSure cannot steer training"),
    ):
        given = dataclasses.replace(start.given, network=None, policy=str(path))
        config = dataclasses.replace(start, given=given)
        with pytest.raises(ValueError, match=message):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_the_command_line_takes_settings_as_json(monkeypatch, tree, tmp_path):
    from agents.cli import main

    seen = []
    monkeypatch.setattr(TrainingRun, "run", lambda self, phases: seen.append(self.config))
    arguments = ["--policy.learner", "belief", "--policy.settings", '{"places": 8}']
    data = ["--data.dataset", str(tree), "--data.network-split", "train"]
    arguments += ["--policy.grid-size", "7", "--rounds", "2"]
    assert main(["train", *data, *arguments, "--no-figures", "--output", str(tmp_path)]) == 0
    (config,) = seen
    assert isinstance(config, TrainConfig)
    assert config.policy == PolicyConfig("belief", {"places": 8}, grid_size=7)
    assert config.rounds == 2
