"""Epochs with validation, checkpoints and logs: the one loop of all phases of training.

After every epoch `last.safetensors` holds the whole state of the training and `best.safetensors`
the best model so far, both written atomically. A training that was stopped is resumed from
`last.safetensors` and ends as it would have ended without the stop.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gf_env.storage.files import only_process
from gf_env.storage.tensors import TensorFileError
from gf_env.training import processes
from gf_env.training.checkpoints import load_state, save_state
from gf_env.training.logs import Log, open_log

Metrics = dict[str, float]
STEPS_BETWEEN_LOGS = 20
ACCURACY = "validation/accuracy"


class Trainee(Protocol):
    """A model that is trained epoch by epoch.

    Attributes:
        epochs: how many in all.
        steps_per_epoch: gradient steps.
        samples_per_step: what `charts/SPS` counts: images, or steps of an environment.
        score: the metric of `validate` by which the best epoch is found; larger is better.
    """

    epochs: int
    steps_per_epoch: int
    samples_per_step: int
    score: str

    def train_epoch(
        self, number: int, on_step: Callable[[Mapping[str, torch.Tensor]], None]
    ) -> None:
        """Train one epoch, counted from 0; call `on_step` with scalars after each step."""
        ...

    def validate(self) -> Metrics:
        """Return metrics on validation images, `validation/accuracy` among them."""
        ...

    def save(self, path: Path) -> None:
        """Write what is trained, as those who use it load it."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, as `save_state` takes it."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        ...


@dataclass(frozen=True)
class PhaseFolder:
    """Where the files of one phase are.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def best(self) -> Path:
        """What is trained, after its best epoch by the trainee's score."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The state after the newest epoch."""
        return self.path / "last.safetensors"


@dataclass
class History:
    """The epochs so far.

    Attributes:
        validations: metrics before the first epoch and after each one.
        best_accuracy: the largest score among them, for most trainees an accuracy.
    """

    validations: list[Metrics] = field(default_factory=list)
    best_accuracy: float = -math.inf

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.validations) - 1


def run_phase(trainee: Trainee, folder: PhaseFolder, *, name: str, progress: Progress) -> History:
    """Train the epochs that are left.

    Args:
        trainee: left as it is after its last epoch; the best is in `folder.best`.
        folder: of this phase; a training that is there is resumed.
        name: for the progress bar.
        progress: shows a bar.

    Raises:
        TensorFileError: a checkpoint that is damaged or of another training.
        FloatingPointError: a loss that is no longer finite.
        OSError: no room for a checkpoint; the ones before are still there.
        FolderInUseError: another process trains in this folder.
    """
    # of several processes of one training the main one writes
    alone = only_process(folder.path, "training") if processes.is_main() else nullcontext()
    with alone:
        return _run_phase(trainee, folder, name, progress)


def _run_phase(trainee: Trainee, folder: PhaseFolder, name: str, progress: Progress) -> History:
    history = _resume(trainee, folder) if folder.last.is_file() else History()
    processes.wait_for_all()  # all look for a checkpoint before the main process writes one
    done = max(0, history.epochs) * trainee.steps_per_epoch
    # dropout draws from the global generator
    with torch.random.fork_rng(devices=[]), open_log(folder.path, done) as log:
        if not history.validations:
            _close_epoch(trainee, folder, history, log)
        for epoch in range(history.epochs, trainee.epochs):
            reporter = _Reporter(trainee, epoch, name, progress, log)
            trainee.train_epoch(epoch, reporter.on_step)
            reporter.close()
            _close_epoch(trainee, folder, history, log)
            if processes.is_main():
                accuracy = history.validations[-1]["validation/accuracy"]
                progress.console.print(
                    f"{name}, epoch {epoch + 1} of {trainee.epochs}: "
                    f"validation accuracy {accuracy:.4f}, {reporter.seconds:.0f} s"
                )
    return history


def _resume(trainee: Trainee, folder: PhaseFolder) -> History:
    state = load_state(folder.last)
    try:
        trainee.load_state(state["trainee"])
        return History(**state["history"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TensorFileError(
            f"{folder.last} is of another training ({error}). Train into another folder, or "
            "remove this one."
        ) from error


def _close_epoch(trainee: Trainee, folder: PhaseFolder, history: History, log: Log) -> None:
    """Validate and write: first the best, so that a stop in between costs the epoch only."""
    if processes.is_main():
        metrics = trainee.validate()
        history.validations.append(metrics)
        log(metrics, history.epochs * trainee.steps_per_epoch)
        if metrics[trainee.score] > history.best_accuracy:
            history.best_accuracy = metrics[trainee.score]
            trainee.save(folder.best)
        state = {"trainee": trainee.state(), "history": dataclasses.asdict(history)}
        save_state(folder.last, state)
    else:
        history.validations.append({})
    processes.wait_for_all()


class _Reporter:
    """Progress bar and logs of one epoch.

    Metrics are fetched from the device once in `STEPS_BETWEEN_LOGS` steps, since that waits for it.
    """

    def __init__(
        self, trainee: Trainee, epoch: int, name: str, progress: Progress, log: Log
    ) -> None:
        self._trainee, self._name = trainee, name
        self._progress, self._log = progress, log
        self._first_step = epoch * trainee.steps_per_epoch
        self._steps = 0
        self._newest: Mapping[str, torch.Tensor] = {}
        self._began = time.perf_counter()
        self._bar: TaskID = progress.add_task(
            f"{name}, epoch {epoch + 1} of {trainee.epochs}",
            total=trainee.steps_per_epoch,
            loss=math.nan,
            visible=processes.is_main(),
        )

    def on_step(self, metrics: Mapping[str, torch.Tensor]) -> None:
        self._steps += 1
        self._newest = metrics
        if self._steps % STEPS_BETWEEN_LOGS == 0:
            self._report()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def close(self) -> None:
        if self._steps % STEPS_BETWEEN_LOGS:
            self._report()
        self._progress.remove_task(self._bar)

    def _report(self) -> None:
        values = {tag: float(value) for tag, value in self._newest.items()}
        values["charts/SPS"] = self._steps * self._trainee.samples_per_step / self.seconds
        self._log(values, self._first_step + self._steps)
        loss = values["losses/loss"]
        self._progress.update(self._bar, completed=self._steps, loss=loss)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"{self._name}: the loss became {loss}; a lower learning rate may help. "
                "The last checkpoint is from before."
            )


def training_progress(console: Console | None = None) -> Progress:
    """Return the progress display of `run_phase`, to be entered with `with`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
