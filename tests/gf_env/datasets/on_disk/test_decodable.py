import os
import sys

import numpy as np
import pytest
from PIL import Image

from gf_env.datasets import load_dataset
from gf_env.datasets.on_disk.decodable import readable_images
from gf_env.datasets.on_disk.sources import FileSource, TorchvisionSource
from tests.helpers.image_trees import BLUE, LIKE, cut_off, write_tree

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path):
    """Two of three cats are damaged, one of three dogs."""
    root = write_tree(tmp_path / "images")
    (root / "train" / "cat" / "0.png").write_bytes(b"no picture")
    cut_off(root / "train" / "cat" / "2.png")
    (root / "train" / "dog" / "1.png").write_bytes(b"")
    return root


def skip(tree, split="train"):
    return load_dataset(tree, split, like=LIKE, unreadable="skip")


def test_what_cannot_be_decoded_is_left_out(tree):
    expected = r"3 of 6 images of .*'train'.*: .*cat.0\.png, .*cat.2\.png, .*dog.1\.png$"
    with pytest.warns(UserWarning, match=expected) as warned:
        data = skip(tree)
    assert warned[0].filename == __file__
    assert (len(data), data.num_skipped) == (3, 3)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.images(np.arange(3))[1, :, 9, 9].tolist() == list(BLUE)
    assert data.augmented_images(np.arange(3), 0)[2, :, 9, 9].tolist() == list(BLUE)
    whole = skip(tree, "validation")  # without a warning
    assert (len(whole), whole.num_skipped) == (4, 0)


def test_only_the_first_are_named(tree):
    cut_off(tree / "train" / "dog" / "2.png")
    with pytest.warns(UserWarning, match=r"4 of 6 .*dog.1\.png, \.\.\.$"):
        skip(tree)


def test_an_image_far_too_large(tmp_path, monkeypatch):
    tree = write_tree(tmp_path / "images")
    Image.new("L", (300, 300)).save(tree / "train" / "cat" / "1.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)  # twice as much is an error
    with pytest.warns(UserWarning, match=r"1 of 6 .*cat.1\.png"):
        assert skip(tree).num_skipped == 1
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert skip(tree).num_skipped == 0


def test_the_verdict_is_kept_until_a_file_changes(tree, own_cache, monkeypatch):
    with pytest.warns(UserWarning, match="3 of 6"):
        skip(tree)
    assert len(list(own_cache.glob("readable-*.npy"))) == 1
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="3 of 6"):
        patch.setattr(FileSource, "read", lambda *_: pytest.fail("decoded again"))
        skip(tree)
    Image.new("RGB", (40, 40)).save(tree / "train" / "cat" / "0.png")
    with pytest.warns(UserWarning, match="2 of 6"):
        assert skip(tree).labels.tolist() == [0, 0, 1, 1]


def test_a_change_of_the_time_alone_is_seen(tree):
    source = load_dataset(tree, "train")._source
    before = source.fingerprint()
    assert source.fingerprint() == before
    os.utime(source.paths[0], ns=(1, 1))
    assert source.fingerprint() != before


def test_a_tree_that_is_moved_keeps_its_verdict(tree, monkeypatch):
    with pytest.warns(UserWarning, match="3 of 6"):
        skip(tree)
    moved = tree.rename(tree.parent / "moved")
    monkeypatch.setattr(FileSource, "read", lambda *_: pytest.fail("decoded again"))
    with pytest.warns(UserWarning, match="3 of 6"):
        skip(moved)


def test_no_image_of_a_class_left_and_none_at_all(tree):
    cut_off(tree / "train" / "cat" / "1.png")
    with pytest.raises(ValueError, match=r"left of the classes \['cat'\].*cat.0\.png"):
        skip(tree)
    for path in (tree / "train").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 6 images of .*'train' can be decoded"):
        skip(tree)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_file_that_cannot_be_opened_is_no_reason_to_skip(tree):
    (tree / "train" / "cat" / "0.png").unlink()
    (tree / "train" / "cat" / "0.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match=r"cat.0\.png cannot be opened"):
        skip(tree)


class Pairs:
    """As a torchvision data set that decodes when asked; image 1 is broken."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise OSError("image file is truncated")
        return Image.new("L", (8, 8)), index % 2


def test_data_sets_without_files_of_their_own(own_cache):
    source = TorchvisionSource("torchvision:Pairs", Pairs())
    with pytest.warns(UserWarning, match="1 of 3 .*image 1 of torchvision:Pairs"):
        kept = readable_images(source, "pairs", np.array([0, 0, 1]), ("a", "b"))
    assert kept.tolist() == [0, 2]
    assert not own_cache.exists()
