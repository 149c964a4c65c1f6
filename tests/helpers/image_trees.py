"""Folders of small images for the tests of data sets on disk."""

import numpy as np
from PIL import Image

from gf_env.datasets import ImageSpec
from tests.helpers.tiny import random_network

LIKE = ImageSpec(32, 3, ("x", "y"), (0.5,) * 3, (0.2,) * 3)
RED, BLUE = (200, 0, 0), (0, 0, 200)


def write_tree(root):
    """PNG files in train/{cat,dog} and val/{cat,dog}, of several sizes; red cats, blue dogs."""
    for split, count in (("train", 3), ("val", 2)):
        for name, colour in (("cat", RED), ("dog", BLUE)):
            for number in range(count):
                image = Image.new("RGB", (40 + 9 * number, 50), colour)
                write_image(root / split / name / f"{number}.png", image)
    return root


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def cut_off(path):
    """Leave the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def write_stripes(root, counts=(48, 24, 24), size=16):
    """Splits train, validation and test of three classes that a glance can tell apart."""
    rng = np.random.default_rng(0)
    for split, count in zip(("train", "validation", "test"), counts, strict=True):
        for number in range(count):
            pixels = rng.integers(0, 80, (size, size, 3))
            name = ("rows", "columns", "neither")[number % 3]
            if name == "rows":
                pixels[::4] += 150
            elif name == "columns":
                pixels[:, ::4] += 150
            image = Image.fromarray(pixels.astype(np.uint8))
            write_image(root / split / name / f"{number}.png", image)
    return root


def stripes_network(size=16):
    """A network with random weights for the images of `write_stripes`."""
    classes = ("columns", "neither", "rows")
    changes = {"image_size": size, "patch_size": size // 2, "classes": classes}
    return random_network(channels=3, mean=(0.5,) * 3, std=(0.25,) * 3, **changes)
