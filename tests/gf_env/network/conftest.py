"""What the tests of released checkpoints share."""

import pytest

from tests.helpers.official_checkpoints import SMALL, Source


@pytest.fixture(scope="package")
def small():
    """The smallest of the paper's networks, with a policy."""
    return Source(SMALL, num_classes=3, hidden_size=8, patch_size=32)


@pytest.fixture
def path(tmp_path):
    """Where to write a checkpoint; the files are large, so they go at once."""
    yield tmp_path / "checkpoint.pth.tar"
    for item in tmp_path.iterdir():
        item.unlink()
