"""Which software made a result."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = ("gf-env", "torch", "numpy", "gymnasium", "stable-baselines3", "sb3-contrib")


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that results depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}
