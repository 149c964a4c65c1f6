"""What goes on beside a training: validation, the best policy kept, the end, and checkpoints.

A learner makes updates, one after another, and can say and take back all that the next one depends
on. Everything else is here, once for all learners. None of it changes what an update does: with the
same seed and settings a training that was stopped and resumed ends as one that was not, to the last
digit, and so does one that nobody looked at.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agents.learners.base import OnUpdate, Update, report_updates
from agents.learners.plateau import Plateau
from agents.learners.resumable import Resumable, Validated, Weights
from agents.policies.base import Policy
from gf_env.storage.files import short
from gf_env.training.checkpoints import load_state, save_state

SECONDS_BETWEEN_CHECKPOINTS = 30.0
_SHARE_OF_TIME = 0.05
"""That the writing of checkpoints may take, where they are large."""


class CheckpointError(ValueError):
    """A checkpoint that a training cannot be resumed from."""


class Found(NamedTuple):
    """Means over validation images, of the likeliest actions.

    Attributes:
        mean_return: of the episodes.
        accuracy: at their end.
    """

    mean_return: float
    accuracy: float


class Validation(NamedTuple):
    """A point of the curve on validation images; `at` is a share of the limit, the rest as above.

    Attributes:
        at: in (0, 1].
        steps: actions taken until then.
        seconds: of training until then.
        mean_return: see `Found`.
        accuracy: likewise.
    """

    at: float
    steps: int
    seconds: float
    mean_return: float
    accuracy: float


class Supervisor:
    """Validates a training, keeps its best policy, ends it at its plateau and writes checkpoints.

    Args:
        validate: says how good a policy is; None: there is no validation, and the last policy is
            kept.
        plateau: how often that is asked, and when the training ends.
        checkpoint: file from which a training that was stopped is resumed; None: there is none.
        seconds_between: of two checkpoints, at least.

    Attributes:
        validations: the curve so far.
        at_plateau: whether the curve is flat at its end; None without validation.
        seconds_before: of training, until the checkpoint that this one was resumed from.
        seconds_beside: that validation and checkpoints took since.
    """

    def __init__(
        self,
        *,
        validate: Callable[[Policy], Found] | None = None,
        plateau: Plateau | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        seconds_between: float = SECONDS_BETWEEN_CHECKPOINTS,
    ) -> None:
        self.validations: list[Validation] = []
        self.seconds_before = self.seconds_beside = 0.0
        self._validate, self._plateau = validate, plateau or Plateau()
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        self._seconds_between = seconds_between
        self._next_checkpoint = time.perf_counter() + seconds_between
        self._told: list[Update] = []
        self._best: Weights | None = None

    @property
    def at_plateau(self) -> bool | None:  # noqa: D102 - see the class
        if not self.validations:
            return None
        at, returns = ([getattr(each, name) for each in self.validations] for name in _CURVE)
        return self._plateau.reached(at, returns)

    def run(self, learner: Resumable, max_seconds: float, on_update: OnUpdate | None) -> None:
        """Take the updates that are left, and leave the best policy in the learner.

        Args:
            learner: at its beginning; it is brought to where the checkpoint is, if there is one.
            max_seconds: of training, those before the checkpoint included.
            on_update: is told of all updates, of those before the checkpoint first.

        Raises:
            CheckpointError: the checkpoint is of another training.
            TensorFileError: it is damaged.
            OSError: no room for one; the one before is still there.
        """
        about = learner.about() if self._checkpoint is not None else {}
        if self._checkpoint is not None and self._checkpoint.is_file():
            self._resume(learner, about, on_update)
        last = self._told[-1] if self._told else None
        self.seconds_before = last.seconds if last else 0.0

        def tell(update: Update) -> None:
            self._told.append(update)
            if on_update is not None:
                on_update(update)

        def is_over(update: Update) -> bool:
            over = self.is_over(learner, update, update.number / learner.total)
            self._write(learner, about)
            return over

        if not (self._plateau.ends and self.at_plateau) and self.seconds_before < max_seconds:
            report_updates(
                learner.updates_left(), learner.steps_after, max_seconds, tell, is_over, last
            )
        self.keep_best(learner)

    def is_over(self, learner: Validated, update: Update, at: float) -> bool:
        """Validate where that is due; return whether the training has come to its plateau.

        Args:
            learner: after the update.
            update: the newest.
            at: share of the limit that is done.
        """
        done = self.validations[-1].at if self.validations else 0.0
        if self._validate is None or not _due(done, at, self._plateau.validations):
            return False
        began = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            found = self._validate(learner.policy())
        if all(found.mean_return > each.mean_return for each in self.validations):
            self._best = learner.weights()
        self.validations.append(Validation(at, update.steps, update.seconds, *found))
        self.seconds_beside += time.perf_counter() - began
        return self._plateau.ends and bool(self.at_plateau)

    def keep_best(self, learner: Validated) -> None:
        """Bring a learner back to its best policy, by the return on validation images."""
        if self._best is not None:
            learner.load_weights(self._best)

    def _write(self, learner: Resumable, about: dict[str, Any]) -> None:
        """Write a checkpoint where one is due."""
        began = time.perf_counter()
        if self._checkpoint is None or began < self._next_checkpoint:
            return
        names = sorted(self._told[0].metrics)
        rows = [
            [each.number, each.steps, each.seconds, *(each.metrics[name] for name in names)]
            for each in self._told
        ]
        state = {
            "about": about,
            "learner": learner.state(),
            "metrics": names,
            "told": torch.tensor(rows, dtype=torch.float64),
            "validations": torch.tensor(self.validations, dtype=torch.float64),
            "best": self._best,
        }
        save_state(self._checkpoint, state)
        ended = time.perf_counter()
        self.seconds_beside += ended - began
        between = max(self._seconds_between, (ended - began) / _SHARE_OF_TIME)
        self._next_checkpoint = ended + (between if self._seconds_between else 0.0)

    def _resume(
        self, learner: Resumable, about: dict[str, Any], on_update: OnUpdate | None
    ) -> None:
        state = load_state(str(self._checkpoint))
        try:
            differences = [*_differences(state["about"], json.loads(json.dumps(about)))]
            if differences:
                raise CheckpointError(
                    f"{self._checkpoint} is of another training: {'; '.join(differences)}. Remove "
                    "it, or choose another place"
                )
            names = state["metrics"]
            for number, steps, seconds, *values in state["told"].tolist():
                metrics = dict(zip(names, values, strict=True))
                self._told.append(Update(int(number), int(steps), seconds, metrics))
            for at, steps, *others in state["validations"].tolist():
                self.validations.append(Validation(at, int(steps), *others))
            self._best = state["best"]
            learner.load_state(state["learner"])
        except (AttributeError, KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{self._checkpoint} does not hold such a training ({type(error).__name__}: "
                f"{error}). Remove it, or choose another place"
            ) from error
        for update in self._told if on_update is not None else ():
            on_update(update)  # type: ignore[misc]  # it is there


_CURVE = ("at", "mean_return")


def _due(done: float, at: float, validations: int) -> bool:
    """Whether a share of the limit is in another of so many equal parts than the one before."""
    # updates do not end exactly where parts do
    return int(at * validations + 1e-9) > int(done * validations + 1e-9)


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield in what two trainings differ, by name."""
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if old != new:
            yield f"its {name} was {short(json.dumps(old))} and is now {short(json.dumps(new))}"


def run_updates(
    learner: Resumable,
    max_seconds: float,
    on_update: OnUpdate | None,
    supervisor: Supervisor | None,
) -> None:
    """Take a learner's updates, with a supervisor or without; see `Supervisor.run`."""
    if supervisor is not None:
        supervisor.run(learner, max_seconds, on_update)
    else:
        report_updates(learner.updates_left(), learner.steps_after, max_seconds, on_update)
