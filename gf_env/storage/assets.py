"""Trained networks and policies that come with the packages, by name."""

import os
from importlib import resources
from pathlib import Path

_SUFFIX = ".safetensors"
_KINDS = {"gf_env": "network", "agents": "policy"}


def asset_names(package: str) -> list[str]:
    """Return the names of the files that come with a package, `gf_env` or `agents`."""
    files = (item.name for item in (resources.files(package) / "assets").iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def find_tensor_file(package: str, name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a built-in name, or the path itself.

    Raises:
        ValueError: neither a built-in name nor a file.
    """
    names = asset_names(package)
    if name_or_path in names:
        return Path(str(resources.files(package) / "assets" / f"{name_or_path}{_SUFFIX}"))
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"unknown {_KINDS[package]} {str(name_or_path)!r}: neither a file nor a built-in name; "
            f"built-in: {names}"
        )
    return path
