"""The training of a task whose label is joined from looks at objects."""

import dataclasses
import json

import pytest
import torch
from rich.console import Console

from agents.policies.planner import ORDERS
from agents.stages import run as stages
from agents.stages.network_report import write_network_metrics
from agents.stages.presets import STARTING_AND_STAGE1, TASK_PRESETS
from agents.stages.run import TrainingRun
from gf_env.builtin_tasks import BUILTIN_TASKS
from gf_env.datasets import load_dataset
from gf_env.datasets.batches import Loading
from gf_env.network.glance_focus_net import load_network
from gf_env.network.image_classifier import load_image_classifier
from gf_env.training.loop import training_progress
from tests.helpers.tiny import random_dataset

SIZE = 192


def quick(config):
    recipe = config.recipe
    phases = ("full_resolution", "low_resolution", "stage1")
    shorter = {
        phase: dataclasses.replace(getattr(recipe, phase), epochs=1, batch_size=32)
        for phase in phases
    }
    recipe = dataclasses.replace(recipe, **shorter, hidden_size=16)
    return dataclasses.replace(config, recipe=recipe)


def few_scenes(name, split, *, size, **others):
    return load_dataset(name, split, size=size or SIZE, **others)


def train(config, folder):
    with training_progress(Console(quiet=True)) as progress:
        loading = Loading(torch.device("cpu"))
        run = TrainingRun(config, folder, loading=loading, progress=progress)
        run.run(STARTING_AND_STAGE1)
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "load_dataset", few_scenes)
        config = quick(TASK_PRESETS["signposts"].config)
        yield train(config, tmp_path_factory.mktemp("signposts"))


def test_encoders_come_from_the_classifiers_and_stay_as_they_are(trained):
    network = load_network(trained.place("stage1").best)
    phases = {"local_encoder": "full_resolution", "global_encoder": "low_resolution"}
    for encoder, phase in phases.items():
        started = load_image_classifier(trained.place(phase).best).encoder.state_dict()
        for name, value in getattr(network, encoder).state_dict().items():
            assert name.startswith("head") or torch.equal(value, started[name])


def test_classifiers_tell_contents_and_kinds(trained):
    scenes = trained.images
    classes = [
        load_image_classifier(trained.place(phase).best).config.images.classes
        for phase in ("full_resolution", "low_resolution")
    ]
    assert classes == [scenes.content_names, scenes.kind_names]


def test_the_report_has_planners_and_foils(trained):
    write_network_metrics(trained, Console(quiet=True))
    report = json.loads((trained.place("stage1").path / "figures.json").read_text())
    assert {*ORDERS} < report["accuracy_per_look"].keys()
    assert 0 < report["full_resolution_accuracy"] < 1


def test_a_data_set_without_objects(tmp_path, monkeypatch):
    images = random_dataset(size=96, classes=tuple("0123456789"))
    monkeypatch.setattr(stages, "load_dataset", lambda *_, **__: images)
    with pytest.raises(ValueError, match="arrays does not say where its objects are"):
        train(quick(TASK_PRESETS["digit-sums"].config), tmp_path)


def test_every_network_of_the_tasks_has_a_preset():
    assert {*TASK_PRESETS} == {name for task in BUILTIN_TASKS.values() for name in task.networks}
