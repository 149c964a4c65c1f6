"""The loop of all phases, on something that only counts."""

import math
import os
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gf_env.storage.files import FolderInUseError, only_process
from gf_env.storage.tensors import TensorFileError
from gf_env.training.loop import PhaseFolder, run_phase, training_progress


class Counter:
    """Adds the epoch's number twice an epoch; validation accuracy goes up and down."""

    epochs = 4
    steps_per_epoch = 2
    samples_per_step = 5
    score = "validation/accuracy"
    accuracies = (0.1, 0.3, 0.7, 0.5, 0.6)

    def __init__(self, stop_in=None, loss=1.0):
        self.total, self.trained = torch.zeros(()), []
        self.stop_in, self.loss = stop_in, loss

    def train_epoch(self, number, on_step):
        self.trained.append(number)
        for _ in range(self.steps_per_epoch):
            self.total += number
            on_step({"losses/loss": torch.tensor(self.loss)})
            if number == self.stop_in:
                raise KeyboardInterrupt

    def validate(self):
        done = self.trained[-1] + 1 if self.trained else 0
        return {"validation/accuracy": self.accuracies[done]}

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.total.item()))

    def state(self):
        return {"total": self.total.clone()}

    def load_state(self, state):
        self.total = state["total"]


def run(trainee, folder):
    with training_progress() as progress:
        return run_phase(trainee, PhaseFolder(folder), name="counting", progress=progress)


def test_all_epochs_and_the_best(tmp_path, capsys):
    counter = Counter()
    history = run(counter, tmp_path)
    assert counter.trained == [0, 1, 2, 3]
    assert history.epochs == 4
    assert [each["validation/accuracy"] for each in history.validations] == list(Counter.accuracies)
    assert history.best_accuracy == 0.7
    assert "counting, epoch 2 of 4: validation accuracy 0.7000" in capsys.readouterr().out
    assert (tmp_path / "best.safetensors").read_text() == "2.0"  # after epoch 1: twice 0, twice 1


def test_what_was_stopped_goes_on_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Counter(stop_in=2), tmp_path)
    counter = Counter()
    history = run(counter, tmp_path)
    assert counter.trained == [2, 3]
    assert counter.total == 2 * (0 + 1 + 2 + 3)
    assert [each["validation/accuracy"] for each in history.validations] == list(Counter.accuracies)
    finished = Counter()
    run(finished, tmp_path)
    assert finished.trained == []


def test_no_epochs_keep_what_is_there(tmp_path):
    counter = Counter()
    counter.epochs = 0
    assert run(counter, tmp_path).epochs == 0
    assert (tmp_path / "best.safetensors").read_text() == "0.0"


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path):
    with pytest.raises(FloatingPointError, match=r"counting: the loss became nan.*lower learning"):
        run(Counter(loss=math.nan), tmp_path)


def test_a_full_disk_costs_an_epoch_only(tmp_path, monkeypatch):
    counter, sync = Counter(), os.fsync

    def fail_later(handle):
        if len(counter.trained) == 3:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail_later)
    with pytest.raises(OSError, match="No space left"):
        run(counter, tmp_path)
    monkeypatch.undo()
    again = Counter()
    run(again, tmp_path)
    assert again.trained == [2, 3]
    assert again.total == 2 * (0 + 1 + 2 + 3)


def test_a_checkpoint_of_another_training(tmp_path):
    run(Counter(), tmp_path)

    class Other(Counter):
        def load_state(self, state):
            raise KeyError("weights")

    with pytest.raises(TensorFileError, match=r"last.safetensors is of another training"):
        run(Other(), tmp_path)


def test_logs_have_every_figure_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Counter(stop_in=2), tmp_path)
    time.sleep(1.1)  # TensorBoard orders its files by whole seconds
    run(Counter(), tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = events.Tags()["scalars"]
    assert {"losses/loss", "charts/SPS", "validation/accuracy"} <= set(tags)
    assert [event.step for event in events.Scalars("validation/accuracy")] == [0, 2, 4, 6, 8]
    assert [event.step for event in events.Scalars("losses/loss")] == [2, 4, 6, 8]


def test_one_process_trains_in_a_folder(tmp_path):
    counter = Counter()
    with only_process(tmp_path, "training"), pytest.raises(FolderInUseError, match="another proc"):
        run(counter, tmp_path)
    assert counter.trained == []
    run(counter, tmp_path)
    assert counter.trained == [0, 1, 2, 3]
