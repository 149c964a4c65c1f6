"""Saved models of Stable-Baselines3."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.sb3.learners import ALGORITHMS


def load_sb3(path: str | os.PathLike[str], device: str = "cpu") -> BaseAlgorithm:
    """Load a model of any of `ALGORITHMS` without being told which.

    SB3's files contain pickled objects, which can run any code: load only files that you trust.

    Args:
        path: what `save` wrote; `.zip` may be left out.
        device: where to.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no file of SB3's, or one of another algorithm.
    """
    path = Path(path)
    if not path.suffix and not path.exists():
        path = path.with_suffix(".zip")  # as SB3 itself does
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
        home = data["policy_class"]["__module__"]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file that Stable-Baselines3 saved") from error
    found = [name for name in ALGORITHMS if home == _policy_home(name) and _is_kind(name, data)]
    if not found:
        raise ValueError(
            f"{path} holds a policy of {home}, which is none of {list(ALGORITHMS)} with its own "
            "policy class; load it with the class that saved it"
        )
    return ALGORITHMS[found[0]].load(path, device=device)


def _policy_home(name: str) -> str:
    """Return the module of an algorithm's policies: PPO and A2C share theirs."""
    return next(iter(ALGORITHMS[name].policy_aliases.values())).__module__


def _is_kind(name: str, data: Mapping[str, Any]) -> bool:
    """Tell apart what shares policies: PPO, A2C and sb3-contrib's TRPO."""
    if name == "PPO":
        return "clip_range" in data
    return name != "A2C" or "batch_size" not in data
