"""Use images of your own: here squares and discs, drawn somewhere on a grey ground.

The command line and environments take them by name; docs/IMAGES.md tells more:
gf-env train --data.dataset examples.own_images:Shapes --output runs/shapes
"""

import argparse
import dataclasses

import gymnasium as gym
import numpy as np
import torch

import gf_env

SIZES = {"train": 500, "validation": 100, "test": 100}
CLASSES = ("square", "disc")
SPEC = gf_env.ImageSpec(image_size=48, channels=1, classes=CLASSES, mean=(0.3,), std=(0.2,))


class Shapes:
    """A `gf_env.datasets.Dataset`: it needs these four attributes and two methods, and no more.

    Args:
        split: `train`, `validation` or `test`.
        like: size, channels and normalisation that the network wants, or None.
    """

    def __init__(self, split, like=None):
        if split not in SIZES:  # so that commands can tell which splits there are
            raise ValueError(f"choose a split of {list(SIZES)}, got {split!r}")
        self.name = "examples.own_images:Shapes"
        self.split = split
        self.spec = SPEC if like is None else dataclasses.replace(like, classes=CLASSES)
        self.labels = np.arange(SIZES[split]) % len(CLASSES)  # (n,) int64

    def __len__(self):
        """Return the number of images."""
        return len(self.labels)

    def images(self, indices):
        """Return some images, (len(indices), channels, S, S) uint8."""
        return torch.from_numpy(np.stack([self._draw(int(index)) for index in indices]))

    def _draw(self, index):
        """Return the same image whenever it is asked for, (channels, S, S) uint8."""
        rng = np.random.default_rng([list(SIZES).index(self.split), index])
        size = self.spec.image_size
        radius = size // 8
        row, col = rng.integers(radius, size - radius, 2)
        down, right = np.abs(np.mgrid[:size, :size] - np.array([row, col])[:, None, None])
        is_disc = CLASSES[self.labels[index]] == "disc"
        inside = down**2 + right**2 < radius**2 if is_disc else np.maximum(down, right) < radius
        ground = rng.integers(40, 90, (self.spec.channels, size, size))
        return np.where(inside, 200, ground).astype(np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    config = gf_env.NetworkConfig(
        "small-cnn", 48, 16, SPEC.channels, SPEC.classes, SPEC.mean, SPEC.std
    )
    untrained = gf_env.GlanceFocusNet(config).eval()
    env = gym.make("GlanceFocus-v0", dataset=Shapes("test"), network=untrained)
    _, info = env.reset(seed=arguments.seed)
    print(f"image {info['index']} of {len(Shapes('test'))} is a {CLASSES[info['label']]}")
    terminated = False
    while not terminated:
        _, reward, terminated, _, info = env.step(env.action_space.sample())
        print(f"patch {info['patch']}, reward {reward:.3f}")
