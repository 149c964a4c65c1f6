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


@pytest.mark.parametrize(
    ("pixels", "kind"), [(np.full((4, 4), 0.5, np.float32), "floats"), (np.eye(4) * 9, "32 bits")]
)
def test_pixels_of_an_unknown_range_are_refused(tmp_path, pixels, kind):
    pixels = pixels if pixels.dtype == np.float32 else pixels.astype(np.int32)
    path = write_image(tmp_path / "0.tif", Image.fromarray(pixels))
    with pytest.raises(UnreadableImageError, match=rf"0\.tif cannot.*pixels are {kind}"):
        read(path)


@pytest.mark.parametrize("ending", ["tif", "pgm"])
def test_16_bits_in_other_formats(tmp_path, ending):
    wide = Image.fromarray(np.full((4, 4), 40_000, np.uint16))
    assert read(write_image(tmp_path / f"0.{ending}", wide)).getpixel((0, 0)) == 156


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_an_image_is_turned_as_the_camera_was(tmp_path, ending):
    upright = Image.new("RGB", (20, 10))
    upright.paste((255, 255, 255), (0, 0, 10, 10))
    for orientation, turned in ((6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{ending}"
        upright.transpose(turned).save(path, exif=exif)
        decoded = read(path)
        assert decoded.size == (20, 10)
        assert decoded.getpixel((2, 5))[0] > 200 > 50 > decoded.getpixel((17, 5))[0]


@pytest.mark.parametrize("size", [(1, 101), (170_000, 1), (20_000, 150)])
def test_a_line_of_pixels_is_unreadable(tmp_path, size):
    path = write_image(tmp_path / "0.png", Image.new("L", size))
    with pytest.raises(UnreadableImageError, match="no side may be more than 100 times as long"):
        read(path)
    source = TorchvisionSource("lines", [(Image.new("L", size), 0)])
    with pytest.raises(UnreadableImageError, match=f"image 0 of lines cannot.*{size[0]} x"):
        source.read(0)


def test_an_image_may_be_long(tmp_path):
    assert read(write_image(tmp_path / "0.png", Image.new("L", (300, 3)))).size == (300, 3)


def test_cmyk_jpeg(tmp_path):
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
