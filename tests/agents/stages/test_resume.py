"""A training that is killed at a random moment, again and again, ends as one that never was."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors

from gf_env.training.checkpoints import load_state
from tests.helpers.image_trees import write_stripes
from tests.helpers.quick_training import quick_arguments

PHASES = ("full_resolution", "low_resolution", "stage1")


def command(images, folder):
    run = "import sys; from agents.cli import main; sys.exit(main())"
    more = ["--output", folder, "--no-figures", "--phases", *PHASES]
    arguments = quick_arguments(images, *more, size=32, epochs=3, batch_size=12)
    return [sys.executable, "-c", run, "train", *arguments]


def start(*arguments):
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, **quiet)


def contents(folder):
    """What every checkpoint says it holds, a checksum of all of it included."""
    found = {}
    for phase in PHASES:
        for name in ("best", "last"):
            with safetensors.safe_open(folder / phase / f"{name}.safetensors", "pt") as file:
                found[phase, name] = file.metadata()
    return found


def finished_epochs(folder):
    """Epochs in the checkpoints, which are whole whenever the training was killed."""
    files = [folder / phase / "last.safetensors" for phase in PHASES]
    states = [load_state(file) for file in files if file.is_file()]
    return sum(len(state["history"]["validations"]) - 1 for state in states)


def test_killed_and_resumed(tmp_path):
    images = write_stripes(tmp_path / "images", counts=(48, 12, 12), size=32)
    whole = tmp_path / "whole"
    process = start(*command(images, whole))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    killed, rng, behind = tmp_path / "killed", np.random.default_rng(), 0
    for _ in range(2):
        process = start(*command(images, killed), "--resume")
        # the first epochs are waited for, so that there is something to lose
        deadline = time.monotonic() + 120
        while finished_epochs(killed) <= behind and time.monotonic() < deadline:
            if process.poll() is not None:
                pytest.fail(process.communicate()[0])
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert finished_epochs(killed) > behind
        behind = finished_epochs(killed)
    process = start(*command(images, killed), "--resume")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert contents(killed) == contents(whole)
