"""What an episode looks like: the image with its patches, the newest looks, the probabilities.

Above them, how many looks were taken and what they have cost, and, at the end, why it ended.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gf_env import geometry
from gf_env.envs.episodes import Episodes, Rules, is_sure
from gf_env.envs.task import Task
from gf_env.network import preprocessing

SCENE = 384
"""Width and height of the scene in the picture, pixels."""
LOOK = 176
"""Width and height of the enlarged glance and patch."""
BARS = 10
"""Most classes shown as bars."""
MARGIN = 16
LINE = 20
BACKGROUND = (255, 255, 255)
INK = (30, 30, 30)
FAINT = (225, 228, 232)
RIGHT = (0, 114, 178)
WRONG = (179, 78, 0)
NEUTRAL = (150, 150, 150)
PATCH_COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 158, 115),
)
"""The bright ones of Okabe and Ito (2008), which people with any colour vision tell apart."""
FIRST_LOOK = 2
"""The number of the first patch: the glance is look 1, as in the paper."""
_ENDS = ("the agent stopped", "all looks taken", "the network is sure")

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_episodes(task: Task, state: Episodes) -> list[NDArray[np.uint8]]:
    """Draw each episode as it stands.

    Args:
        task: what the episodes belong to.
        state: n episodes.

    Returns:
        n pictures, (H, W, 3) uint8, all of one size.
    """
    config = task.network.config
    images = task.pixels(state)
    corners = geometry.corners(
        state.locations.flatten(0, 1), config.image_size, config.patch_size
    ).view(len(state.step), -1, 2)
    glances = glance_pixels(task, images)
    probabilities = state.logits.softmax(1).cpu().numpy()
    ends = why_ended(task.rules, state)
    return [
        _draw(
            task,
            ends[n],
            to_rgb(images[n]),
            to_rgb(glances[n]),
            corners[n, : int(state.step[n]) - 1].tolist(),
            probabilities[n],
            int(state.labels[n]),
        )
        for n in range(len(state.step))
    ]


def glance_pixels(task: Task, images: torch.Tensor) -> torch.Tensor:
    """Return what the network glances at, (n, C, P, P) uint8, of images (n, C, S, S) uint8."""
    config = task.network.config
    small = preprocessing.resize(images.float(), config.patch_size, config.glance_interpolation)
    return small.round().clamp(0, 255).to(torch.uint8)


def why_ended(rules: Rules, state: Episodes) -> list[str | None]:
    """Return for each episode why it has ended, in a few words; None: it goes on."""
    # the glance alone ends none: an episode has one action at least
    sure = is_sure(rules, state) & (state.step > 1)
    over = state.step >= rules.sequence_length
    columns = (state.stopped.tolist(), over.tolist(), sure.tolist())
    return [
        next((why for why, holds in zip(_ENDS, each, strict=True) if holds), None)
        for each in zip(*columns, strict=True)
    ]


def to_rgb(image: torch.Tensor) -> Image.Image:
    """Return an image (1 or 3, S, S) uint8 as an RGB picture."""
    return Image.fromarray(image.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy())


def _draw(
    task: Task,
    end: str | None,
    image: Image.Image,
    glance: Image.Image,
    corners: list[list[int]],
    probabilities: NDArray[np.float32],
    label: int,
) -> NDArray[np.uint8]:
    left = MARGIN + SCENE + MARGIN
    width = left + 2 * LOOK + 2 * MARGIN
    canvas = Image.new("RGB", (width, SCENE + 2 * MARGIN + LINE), BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    classes = task.network.config.classes
    _draw_header(pen, task, 1 + len(corners), end, probabilities, label)
    top = MARGIN + LINE
    canvas.paste(draw_scene(image, corners, task.network.config.patch_size), (MARGIN, top))
    _draw_look(canvas, glance, "look 1, the glance", INK, (left, top))
    if corners:
        row, col = corners[-1]
        size = task.network.config.patch_size
        patch = image.crop((col, row, col + size, row + size))
        colour = patch_colour(len(corners) - 1)
        name = f"look {len(corners) - 1 + FIRST_LOOK}"
        _draw_look(canvas, patch, name, colour, (left + LOOK + MARGIN, top))
    bars_top = top + LOOK + LINE + MARGIN
    _draw_bars(pen, probabilities, classes, label, (left, bars_top, width - MARGIN, top + SCENE))
    return np.asarray(canvas).copy()


def _draw_header(
    pen: ImageDraw.ImageDraw,
    task: Task,
    looks: int,
    end: str | None,
    probabilities: NDArray[np.float32],
    label: int,
) -> None:
    """Draw one line; names of classes are cut so that what else it says fits."""
    rules, classes, font = task.rules, task.network.config.classes, _font(15)
    prediction, line = int(probabilities.argmax()), MARGIN // 2
    right = pen.im.size[0] - MARGIN
    if end is not None:
        pen.text((right, line), end, fill=INK, font=font, anchor="ra")
        right -= round(font.getlength(end)) + MARGIN
    paid = f", cost {rules.look_cost * (looks - 1):.4g}" if rules.look_cost else ""
    header = (
        f"look {looks} of {rules.sequence_length}{paid}    class {{}}    "
        f"predicted {{}} ({probabilities[prediction]:.2f})"
    )
    room = (right - MARGIN - font.getlength(header.format("", ""))) / 2
    names = [_cut(classes[k], room, font) for k in (label, prediction)]
    colour = RIGHT if prediction == label else WRONG
    pen.text((MARGIN, line), header.format(*names), fill=colour, font=font)


def _cut(name: str, room: float, font: Font) -> str:
    """Return as much of a name as there is room for, in pixels."""
    if font.getlength(name) <= room:
        return name
    kept = len(name)
    while kept > 1 and font.getlength(f"{name[:kept]}…") > room:
        kept -= 1
    return f"{name[:kept]}…"


def draw_scene(
    image: Image.Image, corners: list[list[int]], patch_size: int, side: int = SCENE
) -> Image.Image:
    """Draw a scene with its patches, outlined and numbered from look 2 on.

    Numbers stand in the patches' corners, further to the right where others would hide them.

    Args:
        image: the scene, S x S pixels, RGB.
        corners: top-left pixels (row, col) of the patches, in the order of the looks.
        patch_size: P in the scene's pixels.
        side: of the picture.

    Returns:
        A picture of side x side pixels.
    """
    scale = side / image.width
    picture = image.resize((side, side), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)
    places: list[tuple[int, int]] = []
    for number, (row, col) in enumerate(corners):
        x, y = round(col * scale), round(row * scale)
        width = round(patch_size * scale)
        pen.rectangle((x, y, x + width - 1, y + width - 1), outline=patch_colour(number), width=3)
        while any(abs(x - left) < 18 and abs(y - top) < 20 for left, top in places):
            x += 18
        places.append((min(x, side - 18), y))
    for number, (x, y) in enumerate(places):  # above all outlines
        pen.rectangle((x, y, x + 17, y + 19), fill=patch_colour(number))
        pen.text((x + 9, y + 10), str(number + FIRST_LOOK), fill=INK, font=_font(15), anchor="mm")
    return picture


def _draw_look(
    canvas: Image.Image, look: Image.Image, name: str, colour: Colour, place: tuple[int, int]
) -> None:
    x, y = place
    canvas.paste(look.resize((LOOK, LOOK), Image.Resampling.NEAREST), place)
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((x, y, x + LOOK - 1, y + LOOK - 1), outline=colour, width=3)
    pen.text((x, y + LOOK + 3), name, fill=INK, font=_font(14))


def _draw_bars(
    pen: ImageDraw.ImageDraw,
    probabilities: NDArray[np.float32],
    classes: tuple[str, ...],
    label: int,
    box: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = box
    shown = _shown_classes(probabilities, label)
    names = [classes[k] if len(classes[k]) <= 14 else f"{classes[k][:13]}…" for k in shown]
    font = _font(13)
    start = left + 8 + round(max(font.getlength(name) for name in names))
    pitch = (bottom - top) / len(shown)
    for line, (k, name) in enumerate(zip(shown, names, strict=True)):
        y = top + line * pitch
        length = round(float(probabilities[k]) * (right - start))
        pen.text((start - 6, y + pitch / 2), name, fill=INK, font=font, anchor="rm")
        pen.rectangle((start, y + 2, right, y + pitch - 2), fill=FAINT)
        if length:
            colour = RIGHT if k == label else NEUTRAL
            pen.rectangle((start, y + 2, start + length, y + pitch - 2), fill=colour)


def _shown_classes(probabilities: NDArray[np.float32], label: int) -> list[int]:
    """Return all classes in order, or of many the likeliest, the true one always among them."""
    if len(probabilities) <= BARS:
        return list(range(len(probabilities)))
    likeliest = [int(k) for k in np.argsort(-probabilities, kind="stable")[:BARS]]
    return likeliest if label in likeliest else [*likeliest[:-1], label]


def patch_colour(number: int) -> Colour:
    """Return the colour of a patch by its number, 0 for the first look after the glance."""
    return PATCH_COLOURS[number % len(PATCH_COLOURS)]


@functools.cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)
