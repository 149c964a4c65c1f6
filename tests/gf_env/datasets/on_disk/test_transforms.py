import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from gf_env.datasets import ImageSpec
from gf_env.datasets.on_disk.transforms import augment, evaluation_transform, random_crop_box
from tests.helpers.image_trees import RED

sides = st.integers(1, 600)


def spec(size, channels=3, **changes):
    return ImageSpec(size, channels, ("x", "y"), (0,) * channels, (1,) * channels, **changes)


@pytest.mark.parametrize("upright", [False, True])
def test_short_side_is_resized_and_the_centre_cut_out(upright):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 25:55] = 255
    image = Image.fromarray(pixels.swapaxes(0, 1).copy() if upright else pixels)
    cut = evaluation_transform(spec(28))(image)
    assert cut.shape == (3, 28, 28)
    middle = cut[0].T if upright else cut[0]
    assert middle[:, 4:24].min() == 255  # 40 -> 32 rows, then 28 in the middle
    assert middle[:, 0].max() < 255


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_become_what_the_network_takes(mode, channels):
    image = Image.new(mode, (50, 40), RED if mode == "RGB" else 60)
    # the luma of (200, 0, 0) is 0.299 x 200 = 59.8
    colour = {"L": [60] * channels, "RGB": [60] if channels == 1 else list(RED)}[mode]
    rng = np.random.default_rng(0)
    wanted = spec(16, channels)
    for pixels in (evaluation_transform(wanted)(image), augment(image, wanted, rng)):
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (channels, 16, 16)
        assert pixels.flatten(1).unique(dim=1).flatten().tolist() == colour


@given(sides, sides, st.integers(0, 2**32))
def test_crops_are_inside_with_a_permitted_area_and_aspect(height, width, seed):
    top, left, rows, cols = random_crop_box(height, width, np.random.default_rng(seed))
    assert 0 <= top <= height - rows
    assert 0 <= left <= width - cols
    assert rows > 0
    assert cols > 0
    # half a pixel of rounding on either side
    assert (cols - 0.5) / (rows + 0.5) <= 4 / 3
    assert (cols + 0.5) / (rows - 0.5) >= 3 / 4
    if 1 / 2 <= height / width <= 2:  # else even the centre crop may be smaller
        assert (rows + 0.5) * (cols + 0.5) >= 0.08 * height * width


@pytest.mark.parametrize(("shape", "box"), [((4, 400), (0, 197, 4, 5)), ((300, 3), (148, 0, 4, 3))])
def test_a_strip_is_cut_in_the_centre(shape, box):
    assert random_crop_box(*shape, np.random.default_rng(0)) == box


@pytest.mark.parametrize("shape", [(300, 300), (200, 500)])
def test_crops_are_distributed_as_torchvisions(shape):
    rng = np.random.default_rng(0)
    ours = np.array([random_crop_box(*shape, rng) for _ in range(3000)])
    image = torch.empty(1, *shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = np.array(
            [RandomResizedCrop.get_params(image, [0.08, 1], [3 / 4, 4 / 3]) for _ in range(3000)]
        )
    for statistic in (np.mean, np.std):
        difference = statistic(ours, axis=0) - statistic(theirs, axis=0)
        assert np.abs(difference).max() < 0.02 * max(shape)  # three standard errors


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_an_augmented_image_is_a_resized_part_of_it(interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    image = Image.fromarray(pixels)
    wanted = spec(24, resize_interpolation=interpolation)
    flips = []
    for seed in range(20):
        cut = augment(image, wanted, np.random.default_rng(seed))
        top, left, rows, cols = random_crop_box(60, 90, np.random.default_rng(seed))
        part = image.crop((left, top, left + cols, top + rows))
        part = part.resize((24, 24), Image.Resampling[interpolation.upper()])
        expected = torch.from_numpy(np.array(part)).permute(2, 0, 1)
        flips.append(torch.equal(cut, expected.flip(2)))
        assert flips[-1] or torch.equal(cut, expected)
    assert 5 <= sum(flips) <= 15
