"""Saved models of Stable-Baselines3."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.sb3.learners import ALGORITHM_KEY, ALGORITHMS


def load_sb3(path: str | os.PathLike[str], device: str = "cpu") -> BaseAlgorithm:
    """Load a model of any of `ALGORITHMS`, whichever the file holds.

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
        algorithm = data.get(ALGORITHM_KEY) or _guessed(data)
    except (zipfile.BadZipFile, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file that Stable-Baselines3 saved") from error
    if algorithm not in ALGORITHMS:
        raise ValueError(
            f"{path} holds a policy of {algorithm}, which is none of {list(ALGORITHMS)} with its "
            "own policy class; load it with the class that saved it"
        )
    return ALGORITHMS[algorithm].load(path, device=device)


def _guessed(data: Mapping[str, Any]) -> str:
    """Return the algorithm of a model that does not name it, or else its policy class's module."""
    home: str = data["policy_class"]["__module__"]
    for name, algorithm in ALGORITHMS.items():
        policy_class = next(iter(algorithm.policy_aliases.values()))
        # PPO, A2C and sb3-contrib's TRPO share their policies, but not these settings
        differs = {"PPO": "clip_range" not in data, "A2C": "batch_size" in data}
        if home == policy_class.__module__ and not differs.get(name, False):
            return name
    return home
