"""What a task looks like: some scenes with their glances, and an episode that goes well."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from agents.policies.planner import ObjectPolicy
from agents.reporting.plots import save
from gf_env.datasets.base import located
from gf_env.envs.make_task import make_task
from gf_env.envs.rendering import draw_episodes
from gf_env.envs.task import Task

SCENES = 3
"""Scenes in a picture."""
_FRAME = 1200
_LAST_FRAME = 2500
"""Milliseconds that a frame of an episode is shown."""
_OUTLINE = "#ffb000"


def draw_scenes(path: Path, dataset: str) -> None:
    """Draw the first test scenes with the objects that tell the label, and what the glance shows.

    Args:
        path: of the PNG file.
        dataset: a built-in task's.
    """
    task = make_task(dataset=dataset, split="test")
    scenes = located(task.dataset)
    images = task.dataset.images(np.arange(SCENES))
    glances = task.network.normalise.undo(task.network.small(images))
    figure = Figure(figsize=(2.6 * SCENES, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, SCENES)
    for number in range(SCENES):
        _show(upper[number], images[number])
        for k in range(scenes.num_needed):
            top, left = scenes.objects[number, k] - 1.5
            side = scenes.content_sizes[scenes.contents[number, k]] + 2
            box = Rectangle((left, top), side, side, fill=False, ec=_OUTLINE, lw=1.5)
            upper[number].add_patch(box)
        label = task.dataset.spec.classes[scenes.labels[number]]
        upper[number].set_title(f"label {label}", fontsize=10)
        _show(lower[number], glances[number])
    upper[0].set_ylabel("scene")
    lower[0].set_ylabel("glance")
    save(figure, path)


def _show(axes: Axes, image: torch.Tensor) -> None:
    axes.imshow(image.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])


@torch.no_grad()
def draw_episode(path: Path, dataset: str) -> None:
    """Draw a planner's first episode on test scenes that ends right, as a GIF file.

    Args:
        path: of the file.
        dataset: a built-in task's.
    """
    task = make_task(dataset=dataset, split="test")
    planner = ObjectPolicy("needed")
    for index in range(len(task.dataset)):
        frames, right = _play(task, planner, np.array([index]))
        if right:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = Image.fromarray(np.concatenate(frames)).quantize(256)  # the same for all frames
    pictures = [
        Image.fromarray(frame).quantize(palette=colours, dither=Image.Dither.NONE)
        for frame in frames
    ]
    first, *others = pictures
    durations = [*[_FRAME] * len(others), _LAST_FRAME]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)


def _play(
    task: Task, planner: ObjectPolicy, indices: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], bool]:
    """Return the pictures of an episode that looks at each object once, and how it ended."""
    state = task.start(indices)
    frames = draw_episodes(task, state)
    looks = min(task.rules.sequence_length - 1, located(task.dataset).num_needed)
    for _ in range(looks):
        state, _, _ = task.step(state, planner.choose_looks(task, state, indices))
        frames += draw_episodes(task, state)
    right = bool((state.logits.argmax(1) == state.labels).all())
    return frames, right
