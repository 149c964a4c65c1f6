import math
import os

import pytest
import torch
from torch import nn

from gf_env.storage.tensors import TensorFileError, save_tensors
from gf_env.training.checkpoints import load_state, save_state
from tests.helpers.damage import refuse_to_write


def test_what_goes_in_comes_out(tmp_path):
    state = {
        "epoch": 3,
        "best": -math.inf,
        "nothing": None,
        "weights": {"a": torch.arange(4.0).view(2, 2), "b": torch.tensor(7)},
        "by number": {0: {"buffer": torch.ones(1, dtype=torch.bfloat16)}, 12: {}},
        "list": [1.5, "text", [True, torch.zeros(0)]],
    }
    save_state(tmp_path / "state.safetensors", state)
    loaded = load_state(tmp_path / "state.safetensors")
    assert loaded.keys() == state.keys()
    assert [loaded[key] for key in ("epoch", "best", "nothing")] == [3, -math.inf, None]
    assert torch.equal(loaded["weights"]["a"], state["weights"]["a"])
    assert loaded["weights"]["b"].item() == 7
    assert loaded["by number"].keys() == {0, 12}
    assert loaded["by number"][0]["buffer"].dtype == torch.bfloat16
    assert loaded["list"][:2] == [1.5, "text"]
    assert loaded["list"][2][1].shape == (0,)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_an_optimiser_goes_on_as_if_nothing_had_happened(tmp_path, kind):
    def make():
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        settings = {"momentum": 0.9, "nesterov": True} if kind is torch.optim.SGD else {}
        return model, kind(model.parameters(), lr=0.1, **settings)

    def step(model, optimiser):
        optimiser.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()

    model, optimiser = make()
    step(model, optimiser)
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    save_state(tmp_path / "s.safetensors", state)
    step(model, optimiser)
    again, its_optimiser = make()
    state = load_state(tmp_path / "s.safetensors")
    again.load_state_dict(state["model"])
    its_optimiser.load_state_dict(state["optimiser"])
    step(again, its_optimiser)
    assert torch.equal(again.weight, model.weight)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    save_state(path, {"epoch": 1})
    monkeypatch.setattr(os, "fsync", refuse_to_write)
    with pytest.raises(OSError, match=r"No space left.*one before is still there.*last"):
        save_state(path, {"epoch": 2})
    assert load_state(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_and_foreign_files(tmp_path):
    path = tmp_path / "last.safetensors"
    save_state(path, {"weights": torch.rand(50)})
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TensorFileError, match="damaged"):
        load_state(path)
    save_tensors(path, "something.else", {}, {})
    with pytest.raises(TensorFileError, match=r"TrainingState.*found 'something\.else'"):
        load_state(path)
