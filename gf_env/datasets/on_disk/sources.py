"""Where images come from: files, tables, or torchvision's data sets; how they become 8-bit ones.

A source tells two failures apart. `UnreadableImageError` is the image's own fault, the same on
every try, so it can be left out of a split; any other error may be gone the next time.
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import PIL
from PIL import Image, ImageFile, ImageOps
from typing_extensions import override

from gf_env.storage.files import read_file

# What Pillow raises for broken files: besides OSError whatever its parsers stumble over
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_GREY_MODES = ("1", "L", "LA")
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose grey images of mode I have 16 bits; those of others may have any range."""
LARGEST_ASPECT = 100
"""Longest side by the shortest: an image's short side becomes that of the network's images, which
would make a line of pixels take gigabytes."""
_READING = 2
"""Version of what can be read here; fingerprints depend on it."""


class UnreadableImageError(ValueError):
    """An image that cannot be decoded: no image at all, cut off, or far too large."""


class RawImages(Protocol):
    """Images of any size, by number."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def place(self, index: int) -> str:
        """Return the name of an image in messages: its path, or its number in the data set."""
        ...

    def read(self, index: int) -> Image.Image:
        """Return a decoded image, of mode L or RGB.

        Raises:
            UnreadableImageError: it cannot be decoded.
            ValueError: its file cannot be opened.
            TypeError: it is no image.
        """
        ...

    def fingerprint(self) -> str | None:
        """Return a text that changes when an image may have become (un)readable.

        None if that cannot be told without decoding.

        Raises:
            ValueError: a file cannot be opened.
        """
        return None


@dataclass(frozen=True)
class FileSource(RawImages):
    """Image files, with a fingerprint of all paths below the root, sizes and times of change.

    Attributes:
        root: the folder they are in.
        paths: the files.
    """

    root: str
    paths: Sequence[str]

    @override
    def __len__(self) -> int:
        return len(self.paths)

    @override
    def place(self, index: int) -> str:
        return self.paths[index]

    @override
    def read(self, index: int) -> Image.Image:
        return _read_image(self.paths[index])

    @override
    def fingerprint(self) -> str:
        # what can be decoded also depends on Pillow and on its settings
        pillow = (PIL.__version__, Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
        digest = hashlib.sha256(repr((*pillow, _READING)).encode())
        for path in self.paths:
            try:
                status = os.stat(path)
            except OSError as error:
                raise _cannot_open(path, error) from error
            digest.update(os.fsencode(os.path.relpath(path, self.root)))
            digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class TableSource(RawImages):
    """The images in a column of a Hugging Face table, which are in the table or in files it names.

    There is no fingerprint, since a table says nothing of a change of the files it names.

    Attributes:
        name: what the table is called in errors.
        rows: gives by number a mapping whose `column` is None, or a mapping of `bytes`, the content
            of an image file or None, and `path`, where that is otherwise.
        column: which one.
    """

    name: str
    rows: Any
    column: str

    @override
    def __len__(self) -> int:
        return len(self.rows)

    @override
    def place(self, index: int) -> str:
        return f"image {index} of {self.name}"

    @override
    def read(self, index: int) -> Image.Image:
        found = self.rows[index][self.column] or {}
        content, path = found.get("bytes"), found.get("path")
        if content is None and path is not None:
            return _read_image(path)
        return _decoded(content or b"", self.place(index))


@dataclass(frozen=True)
class TorchvisionSource(RawImages):
    """The images of a torchvision data set without transforms.

    There is no fingerprint, since where images are stored differs from one data set to the next.

    Attributes:
        name: what the data set is called in errors.
        dataset: gives (PIL image, class number) pairs.
    """

    name: str
    dataset: Any

    @override
    def __len__(self) -> int:
        return len(self.dataset)

    @override
    def place(self, index: int) -> str:
        return f"image {index} of {self.name}"

    @override
    def read(self, index: int) -> Image.Image:
        try:
            image = self.dataset[index][0]
        except _DECODE_ERRORS as error:
            raise _unreadable(self.place(index), error) from error
        if not isinstance(image, Image.Image):
            raise TypeError(
                f"{self.place(index)} is a {type(image).__name__}, expected a PIL image: "
                "choose a data set of single images"
            )
        try:
            _check_aspect(image)
            return to_eight_bits(image)
        except _DECODE_ERRORS as error:
            raise _unreadable(self.place(index), error) from error


def _read_image(path: str) -> Image.Image:
    try:
        content = read_file(path)  # apart, so that what follows is about the content
    except OSError as error:
        raise _cannot_open(path, error) from error
    return _decoded(content, path)


def _decoded(content: bytes, place: str) -> Image.Image:
    """Return the image that the content of a file is, of mode L or RGB."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            _check_aspect(image)
            ImageOps.exif_transpose(image, in_place=True)  # as whoever took it held the camera
            return to_eight_bits(image)
    except _DECODE_ERRORS as error:
        raise _unreadable(place, error) from error


def _check_aspect(image: Image.Image) -> None:
    longest, shortest = max(image.size), min(image.size)
    if longest > LARGEST_ASPECT * shortest:
        raise ValueError(
            f"{image.width} x {image.height} pixels; no side may be more than {LARGEST_ASPECT} "
            "times as long as the other"
        )


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of any mode as L if it is grey, else as RGB; transparency is dropped.

    Raises:
        ValueError: pixels of floats or of 32 bits, whose range nothing says.
    """
    if image.mode == "F" or (image.mode == "I" and image.format not in _SIXTEEN_BITS):
        kind = "floats" if image.mode == "F" else "32 bits"
        raise ValueError(f"its pixels are {kind}, whose range is not known: save it with 8 or 16")
    if image.mode.startswith("I"):
        # 16-bit grey. Pillow would clip it at 255; of 16-bit colour it keeps the upper byte too.
        wide = np.asarray(image).clip(0, 65535)
        return Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "P":  # Pillow warns when a transparent palette goes to RGB directly
        image = image.convert("RGBA")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _cannot_open(path: str, error: OSError) -> ValueError:
    return ValueError(
        f"image file {path} cannot be opened ({error.strerror}): "
        "restore it or its permissions, or remove it from the folder"
    )


def _unreadable(place: str, error: Exception) -> UnreadableImageError:
    # Pillow's own message names an object in memory
    reason = "not an image" if isinstance(error, PIL.UnidentifiedImageError) else error
    return UnreadableImageError(
        f"{place} cannot be decoded ({reason}): replace it with an intact image, or leave such "
        'images out with load_dataset(..., unreadable="skip")'
    )
