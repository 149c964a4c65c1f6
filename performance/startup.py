"""How long imports, making and copying environments, and help take, in fresh processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

_MARK = """
import json, sys, time
found, last = {}, time.perf_counter()
def mark(name):
    global last
    found[name] = time.perf_counter() - last
    last = time.perf_counter()
"""
_IMPORT = """
import gymnasium
import gf_env
found["imports_torch"] = "torch" in sys.modules
"""
_MAKE = """
import gymnasium, torch
mark("import torch and gymnasium")
import gf_env
mark("import gf_env beyond these")
for number in ("first", "second"):
    {make}
    mark(number + " {name}")
"""
_MAKES = {
    "gym.make": 'gymnasium.make("GlanceFocus-v0", split={split!r})',
    "gym.make_vec": 'gymnasium.make_vec("GlanceFocus-v0", num_envs={num_envs}, split={split!r})',
}
_COPY = """
import copy, pickle
import gymnasium, gf_env
env = gymnasium.make("GlanceFocus-v0", split={split!r})
env.reset(seed=0)
mark("")
found.clear()
made = pickle.dumps(env)
mark("pickle.dumps of an environment")
pickle.loads(made)
mark("pickle.loads of an environment")
copy.deepcopy(env)
mark("copy.deepcopy of an environment")
found["pickle_bytes"] = len(made)
"""
_HELP = {"gf-env --help": ["--help"], "gf-env train --help": ["train", "--help"]}


def measure_startup(rounds: int, num_envs: int, split: str) -> dict[str, Any]:
    """Return seconds by what took them, an environment's size, and whether gf_env imports PyTorch.

    Args:
        rounds: of fresh processes.
        num_envs: of the vector environment that is made.
        split: of the built-in task; its scenes are on disk beforehand.
    """
    codes = [
        _MAKE.format(name=name, make=make.format(num_envs=num_envs, split=split))
        for name, make in _MAKES.items()
    ]
    _run(f"from gf_env.datasets import load_dataset; load_dataset('cluttered-digits', {split!r})")
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        copies = _run(_COPY.format(split=split))
        pickle_bytes = copies.pop("pickle_bytes")
        found = {**copies, **{name: _help(words) for name, words in _HELP.items()}}
        for name, value in [item for code in codes for item in _run(code).items()]:
            seconds.setdefault(name, []).append(value)
        for name, value in found.items():
            seconds.setdefault(name, []).append(value)
    return {
        **_run(_IMPORT),
        "num_envs": num_envs,
        "pickle_bytes": pickle_bytes,
        "seconds": {name: _summary(values) for name, values in seconds.items()},
    }


def _run(code: str) -> dict[str, Any]:
    """Run code that fills `found` in a fresh process; return that."""
    code = f"{_MARK}\n{code}\nprint(json.dumps(found))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _help(words: list[str]) -> float:
    """Return the seconds that a whole process takes to print help."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "agents", *words]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _summary(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "fastest": min(values),
        "slowest": max(values),
        "all": values,
    }
