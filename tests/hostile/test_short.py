"""A few hostile files for every loader; `make soak` tries thousands."""

import os

import pytest

from tests.hostile.loaders import LOADERS
from tests.hostile.run import mishandled

COUNT = 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that share what is imported")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")
@pytest.mark.parametrize("name", LOADERS)
def test_hostile_files_are_refused(name):
    assert mishandled(LOADERS[name], seed=1, count=COUNT) == []
