"""What a learner offers, and its updates one after another, by the clock.

Every learner is a function `train(task, config, on_update, supervisor)`, which returns the trained
policy. It learns on the network's device and leaves the global generators alone. Without a
configuration it takes the defaults; `on_update`, if there is one, is called with an `Update` after
every update. A supervisor, if there is one, validates, keeps the best policy, ends the training at
its plateau and resumes it where it was stopped, see `agents.learners.supervisor`.

Where a task has an action that stops, a learner trains a policy that may stop, or refuses the task
if its policies cannot.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gf_env.envs.task import Task
from gf_env.training import processes

Metrics = dict[str, torch.Tensor]
"""Scalars of one update, by name."""


@dataclass(frozen=True)
class Update:
    """What one update did.

    Attributes:
        number: counted from 1.
        steps: actions taken in all episodes since training began.
        seconds: likewise.
        metrics: by name: `charts/episodic_return`, `charts/accuracy`, `charts/looks` of an episode
            (glance included), `charts/SPS`, `losses/...`.
    """

    number: int
    steps: int
    seconds: float
    metrics: dict[str, float]


OnUpdate = Callable[[Update], None]


def refuse_stop(task: Task, policies: str) -> None:
    """Refuse a task with an action that stops, for a learner whose policies cannot.

    Trained without it they would never learn what it is for, and nobody would notice.

    Args:
        task: what is to be learned.
        policies: a noun that says whose they are.

    Raises:
        ValueError: the task has such an action.
    """
    if task.actions.stop:
        raise ValueError(
            f"{policies} chooses where to look, never whether; make the task without stop, and end "
            "episodes at exit thresholds as the paper does (`gf_env.exit_thresholds`), or wrap the "
            "trained policy in `StopWhenSure`, which stops at them"
        )


def report_updates(
    updates: Iterable[Metrics],
    steps_after: Callable[[int], int],
    max_seconds: float,
    on_update: OnUpdate | None,
    is_over: Callable[[Update], bool] | None = None,
    last: Update | None = None,
) -> None:
    """Take updates one after another, until they end or the time is over.

    Args:
        updates: the metrics of each; it is made when it is asked for.
        steps_after: says how many actions were taken in so many updates.
        max_seconds: stop after the update in which this much time has passed.
        on_update: called after every update.
        is_over: called after it; the time it takes is not the training's. True: stop.
        last: the update after which these ones follow.
    """
    done, seconds = (0, 0.0) if last is None else (last.number, last.seconds)
    began = time.perf_counter() - seconds
    for number, metrics in enumerate(updates, done + 1):
        seconds = time.perf_counter() - began
        if on_update is not None or is_over is not None:
            steps = steps_after(number)
            values = {name: value.item() for name, value in metrics.items()}
            update = Update(number, steps, seconds, {**values, "charts/SPS": steps / seconds})
            if on_update is not None:
                on_update(update)
            if is_over is not None and is_over(update):
                return
        if seconds >= max_seconds:
            return
        if is_over is not None:
            began = time.perf_counter() - seconds


def gradient_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: torch.Tensor,
    max_grad_norm: float | None = None,
) -> None:
    """Take one step down a loss's gradient, the mean over all processes.

    Args:
        network: is changed.
        optimiser: of the network's weights.
        loss: scalar.
        max_grad_norm: a longer gradient is scaled down to it; None: none is.
    """
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    processes.average_gradients(network)
    if max_grad_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), max_grad_norm)
    optimiser.step()


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> Metrics:
    """Set the learning rate for the next step; return it by name."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    return {"charts/learning_rate": torch.tensor(rate, dtype=torch.float64)}


def stack(steps: list[Metrics]) -> dict[str, torch.Tensor]:
    """Return the tensors (...) of A steps as (A, ...), by name."""
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
