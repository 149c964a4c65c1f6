import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from gf_env import geometry
from gf_env.network import preprocessing


def test_corner_is_the_floor_of_the_travel():
    locations = torch.tensor([[0.0, 1.0], [0.5, 0.25], [0.999, 0.013]])
    # travel 96 - 24 = 72: 0.25 * 72 = 18, 0.999 * 72 = 71.9, 0.013 * 72 = 0.94
    expected = [[0, 72], [36, 18], [71, 0]]
    assert geometry.corners(locations, 96, 24).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(
    size=st.integers(4, 40),
    share=st.floats(0.1, 1.0),
    places=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5),
    channels=st.sampled_from([1, 3]),
)
def test_crop_is_a_plain_slice(size, share, places, channels):
    patch = max(1, int(size * share))
    images = torch.arange(len(places) * channels * size * size).view(-1, channels, size, size)
    corners = geometry.corners(torch.tensor(places), size, patch)
    assert corners.min() >= 0
    assert corners.max() <= size - patch
    cut = preprocessing.crop(images, corners, patch)
    for image, (top, left), piece in zip(images, corners.tolist(), cut, strict=True):
        assert torch.equal(piece, image[:, top : top + patch, left : left + patch])


def test_area_glance_is_the_mean_of_blocks():
    image = torch.arange(64.0).view(1, 1, 8, 8)
    blocks = image.view(1, 1, 4, 2, 4, 2).mean(dim=(3, 5))
    assert torch.equal(preprocessing.resize(image, 4, "area"), blocks)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_paper_glances_align_their_corners(interpolation):
    image = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    glance = preprocessing.resize(image, 5, interpolation)
    # 9 -> 5 with aligned corners samples every second pixel exactly
    assert torch.allclose(glance, image[:, :, ::2, ::2], atol=1e-6)


def test_normalise_and_undo():
    normalise = preprocessing.Normalise((0.5,), (0.25,))
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    normalised = normalise(images)
    assert normalised.flatten().tolist() == pytest.approx([-2.0, 2.0])
    assert torch.equal(normalise(normalised), normalised)
    assert torch.equal(normalise.undo(normalised), images)


@pytest.mark.parametrize("count", [0, 2])
def test_crop_of_images_laid_out_otherwise_and_of_none(count):
    images = torch.arange(count * 3 * 36.0).view(count, 3, 6, 6)
    laid_out = images.contiguous(memory_format=torch.channels_last)
    corners = torch.tensor([[4, 1], [0, 3]])[:count]
    cut = preprocessing.crop(laid_out, corners, 2)
    assert cut.shape == (count, 3, 2, 2)
    for image, (top, left), piece in zip(images, corners.tolist(), cut, strict=True):
        assert torch.equal(piece, image[:, top : top + 2, left : left + 2])


def test_several_patches_of_one_image():
    images = torch.arange(2 * 36).view(2, 1, 6, 6)
    rows = torch.tensor([1, 1, 0])
    corners = torch.tensor([[0, 0], [3, 2], [4, 4]])
    cut = preprocessing.crop(images, corners, 2, rows)
    assert torch.equal(cut[0], images[1, :, :2, :2])
    assert torch.equal(cut[1], images[1, :, 3:5, 2:4])
    assert torch.equal(cut[2], images[0, :, 4:, 4:])
