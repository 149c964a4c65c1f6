"""A training that is killed at a random moment ends as one that never was."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from gf_env.training.checkpoints import load_state
from tests.helpers.image_trees import write_stripes
from tests.helpers.quick_training import content, quick_arguments

PHASES = ("full_resolution", "low_resolution", "stage1")


def start(images, folder, *more):
    run = "import sys; from agents.cli import main; sys.exit(main())"
    more = ["--output", folder, "--no-figures", "--phases", *PHASES, *more]
    arguments = quick_arguments(images, *more, size=32, epochs=3, batch_size=12)
    return subprocess.Popen(
        [sys.executable, "-c", run, "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def contents(process, folder):
    """What every checkpoint holds after a training that ends well."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    files = (f"{phase}/{name}.safetensors" for phase in PHASES for name in ("best", "last"))
    return [content(folder / file) for file in files]


def finished_epochs(folder):
    """Epochs in the checkpoints, which are whole whenever the training was killed."""
    files = [folder / phase / "last.safetensors" for phase in PHASES]
    states = [load_state(file) for file in files if file.is_file()]
    return sum(len(state["history"]["validations"]) - 1 for state in states)


@pytest.mark.slow
def test_killed_and_resumed(tmp_path):
    images = write_stripes(tmp_path / "images", counts=(48, 12, 12), size=32)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = contents(start(images, whole), whole)
    process = start(images, killed, "--resume")
    # the first epoch is waited for, so that there is something to lose
    deadline = time.monotonic() + 120
    while not finished_epochs(killed) and time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(process.communicate()[0])
        time.sleep(0.02)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    process.kill()
    process.communicate()
    assert finished_epochs(killed) > 0
    assert contents(start(images, killed, "--resume"), killed) == expected
