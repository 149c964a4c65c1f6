"""Two processes under torchrun do what one does."""

import os
import subprocess
import sys

import pytest
import torch

from agents import PaperPolicy
from gf_env.network.glance_focus_net import load_network
from gf_env.training import processes
from tests.helpers.image_trees import write_stripes
from tests.helpers.paths import ROOT
from tests.helpers.quick_training import quick_arguments

MEAN_GRADIENT = """
import sys

import torch
from gf_env.training import processes
from gf_env.training.epochs import epoch_indices
from gf_env.datasets.batches import Loading, read_batches
from tests.helpers.tiny import random_dataset


def compare():
    torch.manual_seed(0)
    plain, wrapped = torch.nn.Linear(256, 1), torch.nn.Linear(256, 1)
    wrapped.load_state_dict(plain.state_dict())
    shared = processes.shared(wrapped)
    dataset, loading = random_dataset(12), Loading(torch.device("cpu"))
    (batch,) = read_batches(dataset, epoch_indices(12, 12, seed=3), loading)
    inputs = batch.images.flatten(1).float() / 255
    plain(inputs).square().mean().backward()
    processes.average_gradients(plain)
    shared(inputs).square().mean().backward()
    whole = dataset.images(range(12)).flatten(1).float() / 255
    expected = torch.autograd.grad(plain(whole).square().mean(), plain.weight)[0]
    assert len(batch.images) == 12 // processes.world_size()
    assert torch.allclose(plain.weight.grad, expected, rtol=1e-4, atol=1e-6)
    assert torch.allclose(wrapped.weight.grad, expected, rtol=1e-4, atol=1e-6)
    # in one piece, since the launcher's processes write to one stream
    count = processes.world_size()
    sys.stdout.write(f"gradients agree in process {processes.rank()} of {count}\\n")


processes.start_processes(torch.device("cpu"))
compare()
processes.stop_processes()
"""


def launch(tmp_path, *arguments):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, *launcher, *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_gradients_are_those_of_the_whole_batch(tmp_path):
    (tmp_path / "gradients.py").write_text(MEAN_GRADIENT)
    done = launch(tmp_path, "gradients.py")
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        assert f"gradients agree in process {rank} of 2" in done.stdout


@pytest.mark.slow
def test_a_training_in_two_processes(tmp_path):
    images = write_stripes(tmp_path / "images", counts=(24, 12, 12))
    arguments = quick_arguments(images, "--output", "run", "--no-figures")
    done = launch(tmp_path, "-m", "agents", "train", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Written to run") == 1  # by the main process alone
    network = load_network(tmp_path / "run" / "stage3" / "best.safetensors")
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    PaperPolicy.load(tmp_path / "run" / "stage2" / "best.safetensors")


def test_without_a_launcher_there_is_one_process():
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
    device = torch.device("cpu")
    assert processes.start_processes(device) == device
    layer = torch.nn.Linear(2, 1)
    assert processes.shared(layer) is layer
    layer(torch.ones(1, 2)).sum().backward()
    processes.average_gradients(layer)
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
