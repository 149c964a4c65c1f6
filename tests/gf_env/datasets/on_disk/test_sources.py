import numpy as np
import pytest
from PIL import Image

from gf_env.datasets.on_disk.sources import FileSource, TorchvisionSource, UnreadableImageError
from tests.helpers.image_trees import write_image


def read(path):
    return FileSource(str(path.parent), [str(path)]).read(0)


def palette():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    return image


@pytest.mark.parametrize(
    ("image", "mode", "pixel"),
    [
        (Image.new("1", (4, 4), 1), "L", 255),
        (Image.new("L", (4, 4), 77), "L", 77),
        (Image.new("LA", (4, 4), (77, 3)), "L", 77),
        (Image.new("RGB", (4, 4), (10, 20, 30)), "RGB", (10, 20, 30)),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 3)), "RGB", (10, 20, 30)),
        (palette(), "RGB", (10, 20, 30)),
        (Image.fromarray(np.full((4, 4), 40_000, np.uint16)), "L", 156),  # 40,000 / 256 = 156.25
        (Image.fromarray(np.full((4, 4), 65_535, np.uint16)), "L", 255),
    ],
    ids=["1", "L", "LA", "RGB", "RGBA", "P", "16 bits", "16 bits, white"],
)
def test_png_of_any_mode(tmp_path, image, mode, pixel):
    decoded = read(write_image(tmp_path / "0.png", image))
    assert (decoded.mode, decoded.getpixel((3, 3))) == (mode, pixel)


def test_a_palette_that_is_transparent_in_part(tmp_path):
    palette().save(tmp_path / "0.png", transparency=b"\x10\x80")
    with Image.open(tmp_path / "0.png") as image:
        assert image.info["transparency"] == b"\x10\x80"
    assert read(tmp_path / "0.png").getpixel((0, 0)) == (10, 20, 30)


def test_grey_tiff_of_32_bits_and_cmyk_jpeg(tmp_path):
    wide = Image.fromarray(np.full((4, 4), 40_000, np.int32))
    assert read(write_image(tmp_path / "0.tif", wide)).getpixel((0, 0)) == 156
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert read(write_image(tmp_path / "0.jpg", ink)).mode == "RGB"


def test_a_file_that_cannot_be_opened_is_another_error(tmp_path):
    source = FileSource(str(tmp_path), [str(tmp_path / "gone.png")])
    for ask in (lambda: source.read(0), source.fingerprint):
        with pytest.raises(
            ValueError, match=r"gone\.png cannot be opened \(No such file"
        ) as raised:
            ask()
        assert not isinstance(raised.value, UnreadableImageError)


def test_a_torchvision_data_set_of_something_else():
    with pytest.raises(TypeError, match="image 0 of clips is a list, expected a PIL image"):
        TorchvisionSource("clips", [([1, 2], 0)]).read(0)
