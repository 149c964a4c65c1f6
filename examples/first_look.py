"""How well can a first look be chosen: from what the environment shows, or from a glance's pixels?

An oracle that sees labels says of training scenes how sure of the class the classifier would be
after each patch of the grid. Three networks learn from that where to look first. One sees the
frozen encoder's feature map by its principal components, as policies on a map do, one the whole
feature map, and one the glance's pixels. What the last one does better the encoder has lost.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import gf_env
from agents import GreedyOracle
from agents.policies.map_network import PrincipalComponents

GRID, COMPONENTS, AT_ONCE, TEMPERATURE = 7, 128, 500, 0.05


class Glances(NamedTuple):
    """What is seen of n scenes, and what the oracle says of their k patches.

    Attributes:
        features: (n, F) float16, flat feature maps.
        pixels: (n, C, h, w) float16 in [0, 1], of the glance.
        confidences: (n, k) float16, the true class's probability after each patch.
    """

    features: torch.Tensor
    pixels: torch.Tensor
    confidences: torch.Tensor


def parts(count):
    """Yield the numbers of `count` scenes, some at a time."""
    yield from np.split(np.arange(count), range(AT_ONCE, count, AT_ONCE))


def glance_at(task):
    """Return the `Glances` at all scenes of a task with grid actions."""
    oracle, size, found = GreedyOracle(GRID), [task.network.config.patch_size] * 2, []
    for indices in parts(len(task.dataset)):
        state = task.start(indices)
        pixels = nn.functional.interpolate(task.dataset.images(indices) / 255, size, mode="area")
        confidences = oracle.confidences(task, state)
        found.append((state.features.flatten(1).half(), pixels.half(), confidences.half()))
    return Glances(*map(torch.cat, zip(*found, strict=True)))


def from_numbers(count, hidden, *, dropout):
    """Return a network from `count` numbers to the grid's patches, with hidden layers."""
    layers = []
    for width in hidden:
        layers += [nn.Linear(count, width), nn.ReLU(), nn.Dropout(dropout)]
        count = width
    return nn.Sequential(*layers, nn.Linear(count, GRID**2))


def from_pixels(channels):
    """Return a network from 24 x 24 pixels to the 7 x 7 patches, each of which covers 6 x 6."""
    layers = []
    for width, size, stride, padding in (
        (24, 3, 1, 1),
        (24, 3, 1, 1),
        (96, 6, 3, 0),
        (96, 3, 1, 1),
    ):
        convolution = nn.Conv2d(channels, width, size, stride, padding, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    network = nn.Sequential(*layers, nn.Dropout(0.2), nn.Conv2d(channels, 1, 1), nn.Flatten())
    return network.to(memory_format=torch.channels_last)


def candidates(seen):
    """Return what each network sees and the network, by name."""
    count = seen.features.shape[1]
    components = PrincipalComponents(count, COMPONENTS)
    components.fit(seen.features[:3000].float())
    reduced = nn.Sequential(components, from_numbers(COMPONENTS, (512,), dropout=0.3))
    whole = nn.Sequential(nn.BatchNorm1d(count), from_numbers(count, (1024, 512), dropout=0.4))
    return {
        "principal components of features": ("features", reduced),
        "all features": ("features", whole),
        "pixels of the glance": ("pixels", from_pixels(seen.pixels.shape[1])),
    }


def learn(network, seen, confidences, epochs):
    """Teach a network which patches show the class; scenes weigh by how much patches differ."""
    batch = min(512, len(seen))
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    steps = epochs * (len(seen) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    network.train()
    for _ in range(steps):
        rows = torch.randint(len(seen), (batch,))
        told = confidences[rows].float()
        weights = told.amax(1) - told.mean(1)
        log_probs = network(seen[rows].float()).log_softmax(1)
        likely = (told / TEMPERATURE).softmax(1)
        loss = -(weights[:, None] * likely * log_probs).sum() / weights.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


@torch.no_grad()
def score(task, choices):
    """Return the accuracy after a look at the grid's patches `choices`, one for each scene."""
    right = []
    for indices in parts(len(task.dataset)):
        state, _, _ = task.step(task.start(indices), task.actions.look(choices[indices]))
        right.append(gf_env.readout(state).correct)
    return torch.cat(right).double().mean().item()


@torch.no_grad()
def choose(network, seen):
    """Return where a network would look first, (n,) int64."""
    network.eval()
    return torch.cat([network(part.float()).argmax(1) for part in seen.split(AT_ONCE)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-scenes", type=int, default=80_000, help="to learn from")
    parser.add_argument("--test-scenes", type=int, default=2000, help="of each held-out split")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs/first_look.json")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    bank = gf_env.make_task(
        split="train", grid_size=GRID, feature_bank=True, num_scenes=arguments.num_scenes
    )
    held_out = {
        split: gf_env.make_task(split=split, grid_size=GRID, num_scenes=arguments.test_scenes)
        for split in ("validation", "test")
    }
    glances, seen = glance_at(bank), {name: glance_at(task) for name, task in held_out.items()}
    found = {
        "oracle": {name: score(held_out[name], seen[name].confidences.argmax(1)) for name in seen}
    }
    for label, (what, network) in candidates(glances).items():
        learn(network, getattr(glances, what), glances.confidences, arguments.epochs)
        choices = {name: choose(network, getattr(each, what)) for name, each in seen.items()}
        found[label] = {name: score(held_out[name], choices[name]) for name in seen}
        print(f"{label}: {found[label]}")
    path = Path(arguments.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
