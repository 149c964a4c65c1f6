"""Every image of a split once, with one policy: the metrics that policies are compared by."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Unpack

from gf_env.datasets.batches import Batch
from gf_env.envs import episodes
from gf_env.envs.make_task import TaskArguments, make_task
from gf_env.envs.task import Task
from gf_env.policy import (
    ChoiceCost,
    Policy,
    PrivilegedPolicy,
    choice_cost,
    grid_size_of,
    observed_by,
    shown_as_trained,
    stops,
)


@dataclass(frozen=True)
class Evaluation:
    """What a policy did on each of n images.

    Where an episode was stopped, what is after look t is what was after its last look, for all
    looks t that it has not taken.

    Attributes:
        confidence: (n, T) float32, probability of the true class after each look.
        max_probability: (n, T) float32, probability of the predicted class.
        correct: (n, T) bool.
        locations: (n, T - 1, 2) float32 in [0, 1], (row, col); 0.5 of looks not taken.
        labels: (n,) int64.
        indices: (n,) int64, which images of the split.
        looks: (n,) int64 in [1, T], how many were taken, the glance included.
        stopped: (n,) bool, whether the policy ended the episode.
        gains: (n,) float32, the sum of what each episode's looks earned.
        returns: (n,) float32, the sum of each episode's rewards: gains less the looks' cost.
        multiply_adds: (T,) int64, cumulative, of an episode that is not stopped: the network's, and
            the policy's where the policy has an attribute `multiply_adds`.
        spent: (n,) int64, multiply-adds of each episode, those of the choice to stop included.
    """

    confidence: NDArray[np.float32]
    max_probability: NDArray[np.float32]
    correct: NDArray[np.bool_]
    locations: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    looks: NDArray[np.int64]
    stopped: NDArray[np.bool_]
    gains: NDArray[np.float32]
    returns: NDArray[np.float32]
    multiply_adds: NDArray[np.int64]
    spent: NDArray[np.int64]

    def take(self, rows: slice | NDArray[np.int64]) -> "Evaluation":
        """Return what the policy did on some of the images, by their place in these arrays."""
        per_image = {
            field.name: getattr(self, field.name)[rows]
            for field in dataclasses.fields(self)
            if field.name != "multiply_adds"
        }
        return dataclasses.replace(self, **per_image)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(T,) share of images that are right after each look; the last is that of all episodes."""
        shares: NDArray[np.float64] = self.correct.mean(axis=0)
        return shares

    @property
    def mean_return(self) -> float:
        """Mean of the episodes' returns."""
        return float(self.returns.mean())

    @property
    def mean_gain(self) -> float:
        """Mean of the episodes' gains."""
        return float(self.gains.mean())

    @property
    def mean_looks(self) -> float:
        """Mean of how many looks an episode took, the glance included."""
        return float(self.looks.mean())

    @property
    def mean_multiply_adds(self) -> float:
        """Mean of the episodes' multiply-adds, the policy's included."""
        return float(self.spent.mean())


def evaluate(
    policy: Policy | PrivilegedPolicy,
    *,
    num_images: int | None = None,
    deterministic: bool = True,
    batch_size: int = 250,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **task_arguments: Unpack[TaskArguments],
) -> Evaluation:
    """Run one episode on every image of a split, to its full length or until the policy stops it.

    Args:
        policy: a `Policy`, a Stable-Baselines3 model as it is, or a `PrivilegedPolicy`. What it
            wants to see and how it acts is what it says of itself, see `gf_env.policy`. A model
            that was loaded from a file knows the statistics of its `VecNormalize` only once it has
            that as its environment, `model.set_env(VecNormalize.load(path, env))`.
        num_images: the first so many of the split; all by default.
        deterministic: passed on to the policy.
        batch_size: episodes at a time.
        workers: processes that read images ahead.
        progress: called with (images done, images in all).
        **task_arguments: what is played, see `gf_env.envs.make_task.TaskArguments`; the split is
            `test` by default. `grid_size` is for policies that do not say theirs. `stop` follows
            from the policy: one that cannot stop runs every episode to its end.

    Raises:
        TypeError: no policy, or an argument that does not exist.
        ValueError: unknown or unfitting arguments, among them `observe`, which the policy says,
            `exit_thresholds`, since episodes are of full length, and `stop=False` for a policy
            that stops; or actions of a wrong shape, NaN or outside the grid.
    """
    task = _task_for(policy, task_arguments)
    count = _number_of_images(len(task.dataset), num_images)
    indices = np.arange(count)
    batches = np.split(indices, range(batch_size, count, batch_size))
    parts, done = [], 0
    read = task.images.batches(batches, workers=workers)
    for rows, batch in zip(batches, read, strict=True):
        parts.append(_run_episodes(task, policy, batch, rows, deterministic))
        done += len(batch.labels)
        if progress is not None:
            progress(done, count)
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    choice = choice_cost(policy)
    costs = _costs(task, choice)
    spent = costs[joined["looks"] - 1] + choice.stop * joined["stopped"]
    return Evaluation(**joined, indices=indices, multiply_adds=costs, spent=spent)


def _number_of_images(available: int, wanted: int | None) -> int:
    count = available if wanted is None else wanted
    if not 1 <= count <= available:
        raise ValueError(f"num_images must be from 1 to {available}, got {wanted}")
    return count


def _task_for(policy: Policy | PrivilegedPolicy, arguments: TaskArguments) -> Task:
    if not isinstance(policy, (Policy, PrivilegedPolicy)):
        raise TypeError(
            f"{type(policy).__name__} is no policy: it needs a method "
            "predict(observation, state, episode_start, deterministic)"
        )
    for name, reason in (
        ("observe", "the policy says what it wants to see"),
        ("exit_thresholds", "episodes are run to their full length"),
    ):
        if arguments.get(name) is not None:
            raise ValueError(f"evaluate takes no {name}: {reason}")
    can_stop = stops(policy)
    if can_stop and arguments.get("stop") is False:
        raise ValueError(
            f"one of the actions of {type(policy).__name__} stops, which the task cannot: leave "
            "out stop=False"
        )
    given: TaskArguments = {"split": "test", **arguments, "observe": observed_by(policy)}
    given["grid_size"] = grid_size_of(policy, given.get("grid_size"))
    given["stop"] = can_stop
    return make_task(**given)


def _costs(task: Task, choice: ChoiceCost) -> NDArray[np.int64]:
    """Return (T,) int64, what an episode has cost after each look."""
    length = task.rules.sequence_length
    network = np.array(task.network.step_cost.cumulative(length), np.int64)
    return network + np.array(choice.cumulative(length), np.int64)


def _run_episodes(
    task: Task,
    policy: Policy | PrivilegedPolicy,
    batch: Batch,
    indices: NDArray[np.int64],
    deterministic: bool,
) -> dict[str, NDArray[Any]]:
    state = task.reset(batch.images, batch.labels)
    count = len(batch.labels)
    readouts = [episodes.readout(state)]
    gains, returns = torch.zeros(2, count, device=task.device)
    memory: Any = None
    shown = shown_as_trained(policy)
    for step in range(1, task.rules.sequence_length):
        if isinstance(policy, PrivilegedPolicy):
            look = policy.choose_looks(task, state, indices)
        else:
            starts = np.full(count, step == 1)
            actions, memory = policy.predict(
                shown(task.observation(state)), memory, starts, deterministic=deterministic
            )
            look = task.actions.decode(actions, count)
        state, rewards, _ = task.step(state, look)
        readouts.append(episodes.readout(state))
        gains += state.gain
        returns += rewards
    columns = {
        name: torch.stack([getattr(readout, name) for readout in readouts], dim=1)
        for name in ("confidence", "max_probability", "correct")
    }
    values = {
        **columns,
        "locations": state.locations,
        "labels": state.labels,
        "looks": state.step,
        "stopped": state.stopped,
        "gains": gains,
        "returns": returns,
    }
    return {name: value.cpu().numpy() for name, value in values.items()}
