"""The whole training, phase after phase, on folders of PNG files."""

import dataclasses
import json
import shutil
from unittest import mock

import numpy as np
import pytest
import torch
from rich.console import Console

from agents import PaperPolicy
from agents.learners.paper_ppo import PaperPPOConfig
from agents.policies.sampler import PolicySampler
from agents.registry.files import load_policy
from agents.stages.config import PHASES, DataConfig, Given, TrainConfig, check_learned
from agents.stages.folders import claim_folder
from agents.stages.network_report import write_network_metrics
from agents.stages.presets import preset
from agents.stages.run import TrainingRun
from gf_env.datasets.batches import Loading
from gf_env.network.glance_focus_net import load_network
from gf_env.network.image_classifier import load_image_classifier, measure_accuracy
from gf_env.storage.tensors import TensorFileError
from gf_env.training.checkpoints import load_state
from gf_env.training.loop import _Reporter, training_progress
from gf_env.training.recipe import Recipe
from gf_env.training.schedule import OptimiserConfig
from tests.helpers.image_trees import write_stripes
from tests.helpers.quick_training import content

QUICK = OptimiserConfig(epochs=6, learning_rate=0.05, batch_size=12)


def quick_config(root, test_split="test", recipe=None, **changes):
    values = {
        "image_size": 16,
        "patch_size": 8,
        "hidden_size": 16,
        "full_resolution": QUICK,
        "low_resolution": QUICK,
        "stage1": QUICK,
        "stage3": dataclasses.replace(QUICK, epochs=2),
        **(recipe or {}),
    }
    return TrainConfig(
        data=DataConfig(dataset=str(root), network_split="train", test_split=test_split),
        recipe=Recipe(**values),
        stage2=PaperPPOConfig(epochs=2, num_envs=16, hidden_size=8),
        precision="float32",  # the same on every machine
        **changes,
    )


def train(config, folder, phases=PHASES, workers=0):
    with training_progress() as progress:
        loading = Loading(torch.device("cpu"), workers)
        run = TrainingRun(config, folder, loading=loading, progress=progress)
        run.run(phases)
    return run


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("stripes"))


@pytest.fixture(scope="module")
def trained(tree, tmp_path_factory):
    return train(quick_config(tree), tmp_path_factory.mktemp("run"))


def test_everything_learns(trained):
    full = load_image_classifier(trained.place("full_resolution").best)
    assert measure_accuracy(full, trained.test) > 0.9
    for phase in ("stage1", "stage3"):
        network = load_network(trained.place(phase).best)
        images = trained.test.images(np.arange(24))
        glimpse = network.glance(images)
        looked = network.focus(images, torch.full((24, 2), 0.5), glimpse.hidden)
        assert (looked.logits.argmax(1).numpy() == trained.test.labels).mean() > 0.8
    assert PaperPolicy.load(trained.place("stage2").best).network.config.hidden_size == 8


def test_validation_after_every_epoch_and_every_look(trained):
    history = load_state(trained.place("stage1").last)["history"]
    validations = history["validations"]
    assert len(validations) == QUICK.epochs + 1
    assert {f"validation/accuracy_step_{look}" for look in range(1, 6)} <= validations[0].keys()
    assert history["best_accuracy"] == max(each["validation/accuracy"] for each in validations)


def test_stage_3_changes_the_network_and_starts_from_stage_1(trained):
    weight = load_network(trained.place("stage1").best).classifier.fc.weight
    state = load_state(trained.place("stage3").last)["trainee"]["module"]
    assert 0 < (state["classifier.fc.weight"] - weight).norm() < 0.5 * weight.norm()


def test_figures(trained, tree):
    write_network_metrics(trained, Console(quiet=True))
    report = json.loads((trained.place("stage3").path / "figures.json").read_text())
    assert report["test_images"] == 24
    assert set(report["accuracy_per_look"]) == {"random", "centre", "paper_policy", "greedy_oracle"}
    assert report["full_resolution_accuracy"] > 0.9
    assert report["config"]["data"]["dataset"] == str(tree)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core
def test_same_seed_same_files(trained, tree, tmp_path, workers):
    """Also with workers, which read the images but decide nothing."""
    phases = PHASES if workers == 0 else PHASES[:2]
    again = train(quick_config(tree), tmp_path, phases, workers)
    for phase in phases:
        assert content(again.place(phase).best) == content(trained.place(phase).best)
    other = train(quick_config(tree, recipe={"seed": 1}), tmp_path / "other", PHASES[:1])
    full, other_full = (run.place("full_resolution").best for run in (again, other))
    assert content(full) != content(other_full)


@pytest.mark.parametrize("phase", PHASES)
def test_resuming_ends_as_without_the_stop(trained, tree, tmp_path, phase):
    """The training is stopped in the middle of an epoch and again right after one."""
    for earlier in PHASES[: PHASES.index(phase)]:
        (tmp_path / earlier).mkdir()
        shutil.copy(trained.place(earlier).best, tmp_path / earlier)
    steps = [*[mock.DEFAULT] * 5, KeyboardInterrupt]
    with mock.patch.object(_Reporter, "on_step", autospec=True, wraps=_Reporter.on_step) as stopped:
        stopped.side_effect = steps
        with pytest.raises(KeyboardInterrupt):
            train(quick_config(tree), tmp_path, [phase])
    resumed = train(quick_config(tree), tmp_path, [phase])
    for file in ("best", "last"):
        mine, theirs = (getattr(run.place(phase), file) for run in (resumed, trained))
        assert content(mine) == content(theirs), file


def test_starting_weights_can_be_given(trained, tree, tmp_path):
    given = Given(full_resolution=str(trained.place("full_resolution").best))
    untrained = {"full_resolution": dataclasses.replace(QUICK, epochs=0)}
    run = train(quick_config(tree, given=given, recipe=untrained), tmp_path, PHASES[:1])
    taken, original = (
        load_image_classifier(each.place("full_resolution").best).state_dict()
        for each in (run, trained)
    )
    assert all(torch.equal(taken[name], value) for name, value in original.items())
    given = Given(full_resolution=str(trained.place("stage1").best))  # of another architecture
    with pytest.raises(TensorFileError, match=r"ImageClassifier.*found .*GlanceFocusNet"):
        train(quick_config(tree, given=given), tmp_path / "other", PHASES[:1])


def test_stage_3_asks_a_frozen_policy(trained, tree, tmp_path, monkeypatch):
    """Its looks cannot learn from the loss; with gradients they would only take memory."""
    trainable = []

    class Watching(PolicySampler):
        def sample(self, looked, memory, generator):
            trainable.extend(each.requires_grad for each in self._policy.network.parameters())
            return super().sample(looked, memory, generator)

    def load(path):
        policy = load_policy(path)
        policy.network.requires_grad_(True)  # as one that has just been trained
        return policy

    monkeypatch.setattr("agents.stages.run.PolicySampler", Watching)
    monkeypatch.setattr("agents.stages.run.load_policy", load)
    network, policy = (str(trained.place(phase).best) for phase in ("stage1", "stage2"))
    train(quick_config(tree, given=Given(network=network, policy=policy)), tmp_path, ["stage3"])
    assert trainable and not any(trainable)


@pytest.mark.parametrize("parts", [["network"], ["policy"], ["network", "policy"]])
def test_what_is_given_is_not_trained(trained, tree, tmp_path, parts):
    files = {"network": "stage1", "policy": "stage2"}
    given = Given(**{part: str(trained.place(files[part]).best) for part in parts})
    untrained = {"stage1": dataclasses.replace(QUICK, epochs=0)} if "network" in parts else {}
    config = quick_config(tree, given=given, recipe=untrained)
    check_learned(config, PHASES)
    run = train(config, tmp_path)
    made = [phase for phase in PHASES if run.place(phase).best.is_file()]
    wanted = {"network": ("stage2", "stage3"), "policy": (*PHASES[:3], "stage3")}
    assert made == [each for each in PHASES if all(each in wanted[part] for part in parts)]
    with pytest.raises(ValueError, match="nothing to do"):
        train(config, tmp_path, sorted(given.instead_of))


def test_network_and_policy_can_be_given(trained, tree, tmp_path):
    network, policy = (str(trained.place(phase).best) for phase in ("stage1", "stage2"))
    given = Given(network=network, policy=policy)
    run = train(quick_config(tree, given=given), tmp_path, ["stage3"])
    write_network_metrics(run, Console(quiet=True))
    for stage in ("stage1", "stage3"):
        figures = json.loads((run.place(stage).path / "figures.json").read_text())
        assert "full_resolution_accuracy" not in figures
        assert len(figures["accuracy_per_look"]["paper_policy"]) == 5
    assert content(run.place("stage3").best) == content(trained.place("stage3").best)


def test_what_is_needed_first_is_named(tree, tmp_path):
    with pytest.raises(ValueError, match=r"stage1.best.safetensors is needed first.*'stage1'"):
        train(quick_config(tree), tmp_path, ["stage2"])
    with pytest.raises(ValueError, match=r"unknown phases \['stage4'\]; choose from"):
        train(quick_config(tree), tmp_path, ["stage4"])


def test_splits_that_are_missing_are_said_before_training(tree, tmp_path):
    with pytest.raises(ValueError, match=r"no split 'exam'.*validation"):
        train(quick_config(tree, test_split="exam"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_policy_learns_from_as_many_scenes_as_are_wanted(tmp_path):
    data = DataConfig(network_split="validation", policy_split="train", policy_scenes=70)
    with training_progress() as progress:
        loading = Loading(torch.device("cpu"), 0)
        run = TrainingRun(TrainConfig(data), tmp_path, loading=loading, progress=progress)
    assert len(run.policy_images) == 70
    assert len(run.images) > 70


def test_images_on_disk_are_as_many_as_they_are(tree, tmp_path):
    config = quick_config(tree)
    data = dataclasses.replace(config.data, policy_scenes=70)
    with pytest.raises(ValueError, match="a size is for built-in data sets"):
        train(dataclasses.replace(config, data=data), tmp_path)


def test_a_folder_belongs_to_one_training(tree, tmp_path):
    config = quick_config(tree)
    claim_folder(tmp_path, config, resume=False)
    with pytest.raises(ValueError, match=r"holds a training already.*--resume"):
        claim_folder(tmp_path, config, resume=False)
    claim_folder(tmp_path, config, resume=True)
    with pytest.raises(ValueError, match=r"other settings: recipe.patch_size was 8 and is 4"):
        claim_folder(tmp_path, quick_config(tree, recipe={"patch_size": 4}), resume=True)


@pytest.mark.slow
def test_mobilenet_at_96_pixels_end_to_end(tmp_path):
    """The paper's system for one family, with all three stages, on a tree of PNG files."""
    tree = write_stripes(tmp_path / "images", counts=(6, 3, 3), size=128)
    paper = preset("mobilenetv3").config
    once = OptimiserConfig(epochs=1, learning_rate=0.005, batch_size=3)
    schedules = dict.fromkeys(("full_resolution", "low_resolution", "stage1", "stage3"), once)
    config = dataclasses.replace(
        paper,
        data=DataConfig(dataset=str(tree), network_split="train"),
        recipe=dataclasses.replace(paper.recipe, image_size=128, sequence_length=3, **schedules),
        stage2=dataclasses.replace(paper.stage2, epochs=1, num_envs=3),
        given=Given(),
    )
    run = train(config, tmp_path / "run")
    network = load_network(run.place("stage3").best)
    assert network.config.patch_size == 96
    assert network.config.classifier == "cascaded"
    policy = PaperPolicy.load(run.place("stage2").best)
    assert policy.network.config.feature_shape == (960, 3, 3)
    low = load_image_classifier(run.place("low_resolution").best).encoder.state_dict()
    first, third = (
        load_state(run.place(phase).last)["trainee"]["module"] for phase in ("stage1", "stage3")
    )
    for state in (first, third):  # the paper leaves this family's global encoder as it is
        assert all(torch.equal(state[f"global_encoder.{name}"], low[name]) for name in low)
    assert not torch.equal(first["classifier.heads.3.weight"], third["classifier.heads.3.weight"])
