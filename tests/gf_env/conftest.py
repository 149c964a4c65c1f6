"""What several test modules of the system share."""

import pytest

from gf_env.datasets import load_dataset


@pytest.fixture
def digits(network):
    """A task's arguments: the built-in network, and twenty scenes."""
    return {"network": network, "dataset": load_dataset("cluttered-digits", "test", size=20)}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder that is empty yet."""
    monkeypatch.setenv("GF_ENV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
