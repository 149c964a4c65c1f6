"""What several test modules need."""

import os

import numpy as np
import pytest
import torch

import gf_env
from gf_env.network.glance_focus_net import GlanceFocusNet
from tests.helpers.tiny import ArrayDataset, TargetNetwork, random_dataset, tiny_config


def pytest_collection_modifyitems(config, items):
    """Skip what needs a GPU where there is none, and what takes more unless it is asked for."""
    skips = {
        "libraries": ("libraries" not in config.getoption("-m"), "run by make test-libraries"),
        "gpu": (not torch.cuda.is_available(), "needs a CUDA device"),
        "page": ("page" not in config.getoption("-m"), "needs a browser: run make test-page"),
        "slow": ("slow" not in config.getoption("-m"), "takes long: run by make test-slow"),
    }
    for item in items:
        for mark, (skipped, reason) in skips.items():
            if skipped and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """Tests neither use nor fill the user's cache; processes they start inherit this.

    All processes of a test run share one.
    """
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GF_ENV_CACHE", str(place / "gf-env-cache"))
        yield


@pytest.fixture(scope="session")
def network() -> GlanceFocusNet:
    """The built-in network."""
    return gf_env.load_network("cluttered-digits")


@pytest.fixture
def tiny_network() -> GlanceFocusNet:
    """A small network with random weights, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GlanceFocusNet(tiny_config()).eval().requires_grad_(False)


@pytest.fixture
def tiny_dataset() -> ArrayDataset:
    return random_dataset()


@pytest.fixture
def tiny(tiny_network, tiny_dataset):
    """A task's arguments: a small network with random weights, and twenty images of noise."""
    return {"network": tiny_network, "dataset": tiny_dataset}


@pytest.fixture(scope="session")
def target_task():
    """The toy task: class 1 everywhere, one bright pixel, patches of three eighths of the width."""
    from gf_env.envs.make_task import make_task

    rng = np.random.default_rng(1)
    images = np.zeros((2000, 1, 32, 32), np.uint8)
    images[np.arange(2000), 0, rng.integers(0, 32, 2000), rng.integers(0, 32, 2000)] = 255
    config = tiny_config(image_size=32, patch_size=12, classes=("no", "yes"), sequence_length=4)
    dataset = ArrayDataset(images, np.ones(2000), config.image_spec)
    return make_task(network=TargetNetwork(config).eval(), dataset=dataset)
