import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gf_env.datasets import load_dataset
from gf_env.datasets.batches import Batch
from gf_env.network.image_classifier import ImageClassifier, ImageClassifierConfig
from gf_env.training.contents import ContentsObjective, PlacesObjective, named_places
from gf_env.training.samplers import UniformSampler

COUNT = 40
GENERATOR = torch.Generator()


@pytest.fixture(scope="module")
def scenes():
    return load_dataset("signposts", "test", size=COUNT)


@pytest.fixture
def batch(scenes):
    indices = torch.arange(COUNT)
    return Batch(scenes.images(indices.numpy()), torch.from_numpy(scenes.labels), indices)


def classifier(scenes, classes, encoder="small-cnn", size=24):
    torch.manual_seed(0)
    images = dataclasses.replace(scenes.spec, classes=classes)
    return ImageClassifier(ImageClassifierConfig(encoder, size, "area", images)).eval()


class AtCorners(UniformSampler):
    """Patches that start at the sign, moved by some pixels."""

    def __init__(self, scenes, shift):
        self.corners = torch.from_numpy(scenes.objects[:, 0]) + shift

    def sample(self, features, memory, generator):
        return (self.corners / 72).clamp(0, 1), memory


def test_contents_of_patches_by_hand(scenes, batch):
    tells = classifier(scenes, scenes.content_names)
    objective = ContentsObjective(tells, scenes, AtCorners(scenes, 0))
    logits, there, counts = objective.told(batch, GENERATOR)
    corners = scenes.objects[:, 0].clip(0, 72)
    for row, (top, left) in enumerate(corners):
        patch = batch.images[row : row + 1, :, top : top + 24, left : left + 24]
        assert torch.allclose(logits[row], tells(patch)[0], atol=1e-5)
        for place, content in zip(scenes.objects[row], scenes.contents[row], strict=True):
            offset = place - (top, left)
            size = 12 if content < 4 else 10
            whole = ((offset >= 0) & (offset + size <= 24)).all()
            touched = ((offset > -size) & (offset < 24)).all()
            assert there[row, content] == whole
            assert counts[row, content] == (whole or not touched)
    assert there.sum() >= COUNT  # every sign at least
    loss = F.binary_cross_entropy_with_logits(logits, there, counts, reduction="sum") / COUNT
    assert objective(batch, GENERATOR).item() == pytest.approx(loss.item(), rel=1e-5)


def test_what_is_cut_off_counts_neither_way(scenes, batch):
    objective = ContentsObjective(
        classifier(scenes, scenes.content_names), scenes, AtCorners(scenes, 6)
    )
    _, there, counts = objective.told(batch, GENERATOR)
    signs = torch.from_numpy(scenes.contents[:, :1])
    inner = torch.from_numpy((scenes.objects[:, 0] + 6 <= 72).all(axis=1))
    assert inner.sum() > 10
    for values in (there, counts):
        assert not values.gather(1, signs)[inner].any()


def test_places_of_kinds_by_hand(scenes, batch):
    tells = classifier(scenes, scenes.kind_names)
    objective = PlacesObjective(tells, scenes)
    logits, there, counts = objective.told(batch, GENERATOR)
    assert logits.shape == there.shape == (COUNT, 3 * 3 * len(scenes.kind_names))
    assert counts.all()
    expected = np.zeros((COUNT, 3, 3, len(scenes.kind_names)))
    for row in range(COUNT):
        for (top, left), content in zip(scenes.objects[row], scenes.contents[row], strict=True):
            middle = 6 if content < 4 else 5
            name = scenes.content_names[content].split()[0]
            kind = [kind.split()[0] for kind in scenes.kind_names].index(
                name if name in ("red", "green", "blue", "yellow") else "sign"
            )
            expected[row, (top + middle) // 32, (left + middle) // 32, kind] = 1
    assert np.array_equal(there.numpy(), expected.reshape(COUNT, -1))
    features = tells.encode(batch.images).features
    first_cell = tells.encoder.own_logits(features[:, :, 0, 0])
    assert torch.allclose(logits[:, : len(scenes.kind_names)], first_cell, atol=1e-5)


def test_places_within_cells_are_told_apart(scenes, batch):
    """Cells of 32 pixels with four places each; by sums over those they are as without."""
    kinds, per_cell = len(scenes.kind_names), 2
    tells = classifier(scenes, named_places(scenes.kind_names, per_cell))
    logits, there, _ = PlacesObjective(tells, scenes, per_cell).told(batch, GENERATOR)
    assert logits.shape == there.shape == (COUNT, 3 * 3 * per_cell**2 * kinds)
    there = there.view(COUNT, 9, per_cell**2, kinds)
    _, of_cells, _ = PlacesObjective(classifier(scenes, scenes.kind_names), scenes).told(
        batch, GENERATOR
    )
    assert torch.equal(there.amax(2), of_cells.view(COUNT, 9, kinds))
    sizes = np.array(scenes.content_sizes)[scenes.contents[0], None]
    middles = scenes.objects[0] + sizes / 2
    found = {(int(cell), int(place)) for cell, place, _ in there[0].nonzero()}
    cells, within = (middles // 32).astype(int), (middles % 32 // 16).astype(int)
    assert found == {
        (row * 3 + col, down * 2 + right)
        for (row, col), (down, right) in zip(cells.tolist(), within.tolist(), strict=True)
    }


@pytest.mark.parametrize("encoder", ["small-cnn", "mobilenetv3_small_100"])
def test_a_cell_is_pooled_as_a_map_of_its_own(scenes, batch, encoder):
    """MobileNetV3 has a convolution between its map and its head."""
    tells = classifier(scenes, scenes.kind_names, encoder, size=96)
    few = Batch(*(values[:4] for values in batch))
    logits, there, _ = PlacesObjective(tells, scenes).told(few, GENERATOR)
    features = tells.encode(few.images).features
    _, _, height, width = features.shape
    assert logits.shape == there.shape == (4, height * width * len(scenes.kind_names))
    last_cell = tells.encoder.pool(features[:, :, -1:, -1:])
    expected = tells.encoder.own_logits(last_cell)
    assert torch.allclose(logits[:, -len(scenes.kind_names) :], expected, atol=1e-5)


def test_both_can_be_learned(scenes, batch):
    objectives = [
        ContentsObjective(classifier(scenes, scenes.content_names), scenes, AtCorners(scenes, 0)),
        PlacesObjective(classifier(scenes, scenes.kind_names), scenes),
    ]
    for objective in objectives:
        optimiser = torch.optim.Adam(objective.parameters(), 3e-3)
        losses = []
        for _ in range(25):
            losses.append(objective.train()(batch, GENERATOR))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
        assert losses[-1] < 0.25 * losses[0]
