"""What a player sees of a scene: the glance, and in it the patches looked at, as the network does.

Only when a scene is over is all of it shown.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from agents.play.courses import Course
from gf_env.envs.rendering import (
    INK,
    PATCH_COLOURS,
    draw_scene,
    glance_pixels,
    patch_colour,
    to_rgb,
)
from gf_env.envs.task import Task

VIEW = 576
"""Width and height of what a player looks at: a multiple of the scenes' 48, 96 and 144 pixels."""
SMALL = 288
"""Width and height of the pictures of whole scenes side by side."""
NEWEST = 192
"""Width and height of the newest look."""
HEAT = PATCH_COLOURS[0]
"""Of where a policy would look next."""
_THICKEST = 0.5
"""How much of what lies under the heat map is hidden where it is hottest."""


def draw_view(task: Task, course: Course, heat: NDArray[np.float32] | None = None) -> Image.Image:
    """Draw what the network has seen: the glance enlarged, and the patches in their places.

    Args:
        task: what is played.
        course: the looks at one scene.
        heat: (S, S) float32, 0 or more, laid over it; None: nothing is.

    Returns:
        A picture of `VIEW` pixels.
    """
    config = task.network.config
    image = task.pixels(course.states[0])
    side = (config.image_size, config.image_size)
    glance = to_rgb(glance_pixels(task, image)[0])
    seen = glance.resize(side, Image.Resampling.NEAREST)
    whole, corners = to_rgb(image[0]), course.corners(config)
    for row, col in corners:
        box = (col, row, col + config.patch_size, row + config.patch_size)
        seen.paste(whole.crop(box), (col, row))
    if heat is not None and heat.max() > 0:
        thickness = (heat / heat.max() * _THICKEST * 255).round().astype(np.uint8)
        seen.paste(Image.new("RGB", side, HEAT), mask=Image.fromarray(thickness))
    return draw_scene(seen, corners, config.patch_size, VIEW)


def draw_whole(task: Task, course: Course, side: int = SMALL) -> Image.Image:
    """Draw all of a scene, with the patches looked at."""
    config = task.network.config
    image = to_rgb(task.pixels(course.states[0])[0])
    return draw_scene(image, course.corners(config), config.patch_size, side)


def draw_newest(task: Task, course: Course) -> Image.Image:
    """Draw the newest look alone, enlarged, in a frame of its colour: a patch, or the glance."""
    config, image = task.network.config, task.pixels(course.states[0])
    corners = course.corners(config)
    if corners:
        row, col = corners[-1]
        patch = image[0, :, row : row + config.patch_size, col : col + config.patch_size]
        return _framed(patch, patch_colour(len(corners) - 1))
    return _framed(glance_pixels(task, image)[0], INK)


def _framed(look: torch.Tensor, colour: tuple[int, int, int]) -> Image.Image:
    width = 4
    inner = NEWEST - 2 * width
    picture = Image.new("RGB", (NEWEST, NEWEST), colour)
    enlarged = to_rgb(look).resize((inner, inner), Image.Resampling.NEAREST)
    picture.paste(enlarged, (width, width))
    return picture
