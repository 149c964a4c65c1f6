"""Every image of a split once, with one policy: the figures that policies are compared by."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gf_env.datasets import Dataset
from gf_env.datasets.batches import Batch, Loading, read_batches
from gf_env.envs import episodes
from gf_env.envs.make_task import BUILTIN, make_task
from gf_env.envs.task import Task
from gf_env.feature_bank.bank import FeatureBank
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.policy import Policy, PrivilegedPolicy, grid_size_of, observed_by


@dataclass(frozen=True)
class Evaluation:
    """What a policy did on each of n images.

    Attributes:
        confidence: (n, T) float32, probability of the true class after each look.
        max_probability: (n, T) float32, probability of the predicted class.
        correct: (n, T) bool.
        locations: (n, T - 1, 2) float32 in [0, 1], (row, col).
        labels: (n,) int64.
        indices: (n,) int64, which images of the split.
        returns: (n,) float32, the sum of each episode's rewards.
        multiply_adds: (T,) int64, cumulative: the network's, and the policy's where the policy
            has an attribute `multiply_adds`.
    """

    confidence: NDArray[np.float32]
    max_probability: NDArray[np.float32]
    correct: NDArray[np.bool_]
    locations: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    returns: NDArray[np.float32]
    multiply_adds: NDArray[np.int64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(T,) share of images that are right after each look."""
        shares: NDArray[np.float64] = self.correct.mean(axis=0)
        return shares

    @property
    def mean_return(self) -> float:
        """Mean of the episodes' returns."""
        return float(self.returns.mean())


def evaluate(
    policy: Policy | PrivilegedPolicy,
    *,
    network: str | os.PathLike[str] | GlanceFocusNet = BUILTIN,
    dataset: str | os.PathLike[str] | Dataset = BUILTIN,
    split: str = "test",
    num_images: int | None = None,
    deterministic: bool = True,
    sequence_length: int | None = None,
    reward: str = "confidence_gain",
    grid_size: int | None = None,
    lattice_stride: int | None = None,
    feature_bank: bool | str | os.PathLike[str] | FeatureBank | None = None,
    precision: str = "float32",
    batch_size: int = 250,
    device: str | torch.device = "cpu",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run one episode of full length on every image of a split.

    Args:
        policy: a `Policy`, a Stable-Baselines3 model as it is, or a `PrivilegedPolicy`. Extra
            observation keys are those of its `observe` attribute, or of its `observation_space` as
            Stable-Baselines3 models have one.
        network: a built-in name, a file, or a network in eval mode.
        dataset: see `gf_env.load_dataset`.
        split: which part of it.
        num_images: the first so many; all by default.
        deterministic: passed on to the policy.
        sequence_length: T; the network's own by default.
        reward: what `returns` sums up.
        grid_size: for policies with grid actions; by default what the policy says, with an
            attribute `grid_size` or the `action_space` that Stable-Baselines3 models have.
        lattice_stride: see `gf_env.envs.make_task.TaskArguments`, and likewise
        feature_bank: and
        precision: of the encoders.
        batch_size: episodes at a time.
        device: where the network runs.
        workers: processes that read images ahead.
        progress: called with (images done, images in all).

    Raises:
        ValueError: unknown or unfitting arguments, or actions of a wrong shape, NaN or outside the
            grid.
    """
    if not isinstance(policy, (Policy, PrivilegedPolicy)):
        raise TypeError(
            f"{type(policy).__name__} is no policy: it needs a method "
            "predict(observation, state, episode_start, deterministic)"
        )
    task = make_task(
        network=network,
        dataset=dataset,
        split=split,
        sequence_length=sequence_length,
        reward=reward,
        observe=observed_by(policy),
        grid_size=grid_size_of(policy) if grid_size is None else grid_size,
        lattice_stride=lattice_stride,
        feature_bank=feature_bank,
        precision=precision,
        device=device,
    )
    available = len(task.dataset)
    count = available if num_images is None else num_images
    if not 1 <= count <= available:
        raise ValueError(f"num_images must be from 1 to {available}, got {num_images}")
    indices = np.arange(count)
    batches = np.split(indices, range(batch_size, count, batch_size))
    parts, done = [], 0
    for batch in read_batches(task.source, batches, Loading(task.device, workers)):
        parts.append(_run_episodes(task, policy, batch, deterministic))
        done += len(batch.labels)
        if progress is not None:
            progress(done, count)
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    costs = task.cost.cumulative(
        task.rules.sequence_length, policy=getattr(policy, "multiply_adds", 0)
    )
    return Evaluation(**joined, indices=indices, multiply_adds=np.array(costs, np.int64))


def _run_episodes(
    task: Task, policy: Policy | PrivilegedPolicy, batch: Batch, deterministic: bool
) -> dict[str, NDArray[Any]]:
    state = task.reset(batch.images, batch.labels)
    count = len(batch.labels)
    readouts = [episodes.readout(state)]
    returns = torch.zeros(count, device=task.device)
    memory: Any = None
    for step in range(1, task.rules.sequence_length):
        if isinstance(policy, PrivilegedPolicy):
            locations = policy.choose_locations(task, state)
        else:
            starts = np.full(count, step == 1)
            actions, memory = policy.predict(
                task.observation(state), memory, starts, deterministic=deterministic
            )
            locations = task.locations(actions, count)
        state, rewards, _ = task.step(state, locations)
        readouts.append(episodes.readout(state))
        returns += rewards
    columns = {
        name: torch.stack([getattr(readout, name) for readout in readouts], dim=1)
        for name in ("confidence", "max_probability", "correct")
    }
    return {
        **{name: column.cpu().numpy() for name, column in columns.items()},
        "locations": state.locations.cpu().numpy(),
        "labels": state.labels.cpu().numpy(),
        "returns": returns.cpu().numpy(),
    }
