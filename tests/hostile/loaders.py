"""Every loader with a good file for it: what is damaged and forged, and how it is told as good."""

import hashlib
import importlib.util
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import agents
import gf_env
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite_files import load_suite
from agents.registry.files import load_policy
from agents.stages.config import TrainConfig
from agents.stages.folders import claim_folder, trained_pair
from agents.stages.starting_settings import starting_settings
from gf_env.datasets import load_dataset
from gf_env.feature_bank.bank_file import stored_lattice
from gf_env.network.image_classifier import (
    ImageClassifier,
    ImageClassifierConfig,
    load_image_classifier,
)
from gf_env.storage.arrays import ArrayFile
from gf_env.storage.torch_pickles import read_pickle
from gf_env.training.checkpoints import load_state, save_state
from gf_env.training.starting_weights import load_starting_weights
from tests.agents.policies.made import belief_policy, paper_policy, recurrent_policy, seeded
from tests.helpers.benchmark_rows import make_arrays, make_row, make_suite
from tests.helpers.tiny import random_dataset, random_network


@dataclass(frozen=True)
class Loader:
    """A way to read a file.

    Attributes:
        file: its name in a folder.
        make: writes it, and what belongs to it, in an empty folder.
        load: reads it and returns what tells whether it is the same as before.
        signed: whether a checksum inside covers all that is in it.
        needed: whether there is nothing to load without it.
    """

    file: str
    make: Callable[[Path], Any]
    load: Callable[[Path], Any]
    signed: bool = True
    needed: bool = True


def _weights(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return f"{getattr(module, 'config', '')} {digest.hexdigest()}"


def _classifier() -> ImageClassifier:
    config = ImageClassifierConfig("small-cnn", 16, "area", random_dataset().spec)
    return seeded(lambda: ImageClassifier(config))


def _start(path: Path) -> str:
    classifier = _classifier()
    load_starting_weights(classifier, str(path))
    return _weights(classifier)


def _policy(path: Path) -> str:
    return _weights(load_policy(path).network)  # type: ignore[attr-defined]


def _stopping(path: Path) -> str:
    stopping: Any = load_policy(path)
    return f"{stopping._thresholds} {_weights(stopping.policy.network)}"


def _pickle(path: Path, *, legacy: bool = False) -> None:
    content = {"weights": _classifier().state_dict(), "epoch": 3, "acc": np.float64(0.5)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


def _read_pickle(path: Path) -> str:
    parts = read_pickle(path).parts
    named = sorted(parts["weights"].items())
    return f"{sorted(parts)} {[(name, value.sum().item()) for name, value in named]}"


def _legacy(path: Path) -> str:
    digest = (path.parent / "sha256").read_text()
    return read_pickle(path, digest).sha256


def _make_legacy(path: Path) -> None:
    _pickle(path, legacy=True)
    (path.parent / "sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def _array(path: Path) -> ArrayFile:
    return ArrayFile(path.with_suffix(".npy"), (20, 3), np.float16, {"lattice": _LATTICE}, 40)


_LATTICE = {"image_size": 16, "patch_size": 8, "lines": [0, 8]}


def _write_array(path: Path) -> None:
    file = _array(path)
    for rows in file.missing_pieces():
        file.write(rows, np.ones((len(rows), 3)))


def _read_array(path: Path) -> str:
    stored_lattice(path)
    return str(_array(path).read().tolist())


_RUN = next(run for run in make_suite().runs() if run.entry.kind == "learner")


def _write_results(path: Path) -> None:
    folder = _results_of(path)
    arrays = folder.write_arrays("k1", make_arrays(0.4, 0.575, 0.75))
    folder.append(make_row(_RUN, 0.75, key="k1", arrays=arrays))


def _results_of(path: Path) -> ResultsFolder:
    return ResultsFolder(path.parents[1] if path.parent.name == "arrays" else path.parent)


def _read_results(path: Path) -> str:
    folder = _results_of(path)
    for fault in folder.damaged():
        raise ValueError(fault)
    found = folder.read()
    if not found:
        raise ValueError(f"{path} has no whole row")
    arrays = folder.arrays(found[0])
    return f"{found} {[value.tolist() for value in arrays.values()]}"


def _write_image(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    image = Image.fromarray(pixels)
    for name in ("a", "b"):
        place = path.parents[1] / name
        place.mkdir(parents=True)
        image.save(place / path.name)


def _read_image(path: Path) -> str:
    return str(load_dataset(path.parents[2], "train").images(np.array([0])).sum())


def _hugging_face() -> Any:
    import datasets  # takes seconds, and is an extra

    datasets.disable_progress_bars()
    return datasets


def _table() -> Any:
    hf = _hugging_face()
    rng, contents = np.random.default_rng(0), []
    for _ in range(4):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(file, "PNG")
        contents.append({"bytes": file.getvalue(), "path": None})
    classes = hf.ClassLabel(names=["a", "b"])
    features = hf.Features({"image": hf.Image(), "label": classes})
    return hf.Dataset.from_dict({"image": contents, "label": [0, 1, 0, 1]}, features)


def _save_table(path: Path) -> None:
    if path.suffix == ".parquet":
        _table().to_parquet(path)
    else:
        _table().save_to_disk(path.parent)


def _read_hugging_face(path: Path) -> str:
    _hugging_face().config.HF_DATASETS_CACHE = path.parent / ".cache"  # no part of it
    data = load_dataset(f"hf:{path.parent}", "train")
    return f"{data.labels} {data.images(np.arange(len(data))).sum((1, 2, 3))}"


def _claim(path: Path) -> str:
    claim_folder(path.parent, TrainConfig(), resume=True)
    return str([each.relative_to(path.parent) for each in trained_pair(path.parent)])


def _make_training(path: Path) -> None:
    claim_folder(path.parent, TrainConfig(), resume=False)
    for phase in ("stage2", "stage3"):
        (path.parent / phase).mkdir()
        (path.parent / phase / "best.safetensors").touch()


_SUITE = """
description = "a test"
seeds = [0]
include = ["references"]
[[settings]]
name = "few"
num_images = 20
[[policies]]
name = "mine"
learner = "reinforce"
settings = { updates = 3 }
"""

LOADERS = {
    "network": Loader(
        "a.safetensors",
        lambda path: random_network().save(path),
        lambda path: _weights(gf_env.load_network(path)),
    ),
    "classifier": Loader(
        "a.safetensors",
        lambda path: _classifier().save(path),
        lambda path: _weights(load_image_classifier(path)),
    ),
    "paper policy": Loader("a.safetensors", lambda path: paper_policy().save(path), _policy),
    "recurrent policy": Loader(
        "a.safetensors", lambda path: recurrent_policy().save(path), _policy
    ),
    "belief policy": Loader("a.safetensors", lambda path: belief_policy().save(path), _policy),
    "stopping": Loader(
        "a.safetensors",
        lambda path: agents.StopWhenSure(paper_policy(), [0.5, 0.9]).save(path),
        _stopping,
    ),
    "starting weights": Loader("a.safetensors", lambda path: _classifier().save(path), _start),
    "state": Loader(
        "a.safetensors",
        lambda path: save_state(path, {"a": torch.rand(30), "b": [1, {"c": None}]}),
        lambda path: str(load_state(path)),
    ),
    "zip pickle": Loader("a.pth", _pickle, _read_pickle),
    "legacy pickle": Loader("a.pth", _make_legacy, _legacy),
    "array": Loader("a.npy", _write_array, _read_array),
    "array's notes": Loader("a.json", _write_array, _read_array),
    "rows": Loader("results.jsonl", _write_results, _read_results),
    "arrays": Loader("arrays/k1.npz", _write_results, _read_results),
    "png": Loader("train/a/0.png", _write_image, _read_image, signed=False),
    "jpeg": Loader("train/a/0.jpg", _write_image, _read_image, signed=False),
    "tiff": Loader("train/a/0.tif", _write_image, _read_image, signed=False),
    "gif": Loader("train/a/0.gif", _write_image, _read_image, signed=False),
    "a training's settings": Loader(
        "config.json", _make_training, _claim, signed=False, needed=False
    ),
    "settings": Loader(
        "a.json",
        lambda path: path.write_text(json.dumps(asdict(TrainConfig()))),
        lambda path: str(starting_settings(["--config", str(path)])),
        signed=False,
    ),
    "suite": Loader(
        "a.toml",
        lambda path: path.write_text(_SUITE),
        lambda path: json.dumps([run.spec for run in load_suite(str(path)).runs()]),
        signed=False,
    ),
}
if importlib.util.find_spec("datasets"):
    LOADERS |= {
        f"hf: {file}": Loader(file, _save_table, _read_hugging_face, signed=False, needed=needed)
        # without its state.json, a data set that was saved is a folder of Arrow files
        for file, needed in (
            ("data-00000-of-00001.arrow", True),
            ("dataset_info.json", True),
            ("state.json", False),
            ("train.parquet", True),
        )
    }
