"""Which splits a training takes, for data sets of every kind."""

import json

import pytest

from agents.stages.starting_settings import starting_settings
from tests.helpers.image_trees import write_tree

TAKES = "tests.helpers.own_datasets:Takes"  # it has train and test


@pytest.fixture
def names(tmp_path):
    tree = write_tree(tmp_path / "tree")  # it has train and val
    return {"folder": (str(tree), "validation"), "own": (TAKES, "test")}


@pytest.mark.parametrize("kind", ["folder", "own"])
def test_splits_that_are_there(names, kind):
    name, held_out = names[kind]
    data = starting_settings(["--data.dataset", name]).data
    assert (data.network_split, data.policy_split) == ("train", "train")
    assert (data.validation_split, data.test_split) == (held_out, held_out)


def test_splits_of_hugging_face(names, tmp_path, monkeypatch):
    hf = pytest.importorskip("datasets")
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    data = starting_settings(["--data.dataset", f"hf:{names['folder'][0]}"]).data
    assert (data.network_split, data.test_split) == ("train", "validation")


@pytest.mark.parametrize(
    ("in_file", "arguments", "expected"),
    [
        (None, [], False),
        (None, ["--data.download"], True),
        (True, [], True),
        (True, ["--data.no-download"], False),
        (False, ["--data.download"], True),
    ],
)
def test_splits_are_looked_for_as_images_are(tmp_path, monkeypatch, in_file, arguments, expected):
    seen = []

    def has_split(name, split, *, download):
        seen.append(download)
        return False

    monkeypatch.setattr("agents.stages.starting_settings.has_split", has_split)
    if in_file is not None:
        (tmp_path / "c.json").write_text(json.dumps({"data": {"download": in_file}}))
        arguments = [*arguments, "--config", str(tmp_path / "c.json")]
    starting_settings(["--data.dataset", "torchvision:MNIST", *arguments])
    assert {*seen} == {expected}
