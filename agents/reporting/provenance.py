"""By what a result was made: software, machine, and a manifest beside it that says all of it."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from gf_env.datasets.base import Dataset, dataset_digest
from gf_env.storage.files import open_file, parse_json, write_atomically

MANIFEST = "manifest.json"
"""The name of manifests."""
MANIFEST_FORMAT = "gf-env manifest 1"
_PACKAGES = ("gf-env", "torch", "numpy", "gymnasium", "stable-baselines3", "sb3-contrib")


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that results depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def machine(device: str) -> dict[str, Any]:
    """Return processor, threads, memory and load, JSON-serialisable."""
    found = {
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": psutil.getloadavg()[0],
        "device": device,
    }
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def revision() -> str | None:
    """Return the git revision of this code, with `-changed` where files differ from it.

    None where the code is neither in a clone of its own nor installed from a revision.
    """
    url = importlib.metadata.distribution(_PACKAGES[0]).read_text("direct_url.json")
    installed = parse_json(url).get("vcs_info", {}).get("commit_id") if url else None
    if installed:
        return str(installed)
    # an environment may lie in the clone of something else, which does not track this file
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", ":/")
    return f"{_git('rev-parse', 'HEAD')}{'-changed' if changed else ''}"


def _git(*arguments: str) -> str | None:
    """Return what git prints, run beside this file; None where it fails or there is none."""
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def write_manifest(
    path: Path,
    config: Any,
    *,
    seeds: Iterable[int],
    networks: Mapping[str, str],
    data: Mapping[str, str],
    files: Iterable[Path],
    device: str = "cpu",
) -> None:
    """Write by what a result was made, and which files it has, as JSON.

    Args:
        path: of the manifest, beside the result.
        config: a dataclass, all that was asked for.
        seeds: of all that was drawn.
        networks: SHA-256 of configuration and weights, by name.
        data: digests of images and labels, by data set and split; see `data_digests`.
        files: of the result; their SHA-256 tells whether one was edited since.
        device: where networks ran.

    Raises:
        OSError: a file that cannot be read, or no room or no permission.
    """
    folder = path.parent
    found = {
        "format": MANIFEST_FORMAT,
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "revision": revision(),
        "versions": versions(),
        "machine": machine(device),
        "seeds": [*seeds],
        "command": type(config).__name__.lower(),
        "configuration": dataclasses.asdict(config),
        "networks": dict(networks),
        "data": dict(data),
        "files": {
            file.relative_to(folder).as_posix(): file_digest(file) for file in sorted({*files})
        },
    }
    write_atomically(path, (json.dumps(found, indent=1, default=str) + "\n").encode())


def data_digests(datasets: Iterable[Dataset]) -> dict[str, str]:
    """Return a digest of each data set by its name and split; see `dataset_digest`."""
    return {f"{each.name}, {each.split}": dataset_digest(each) for each in datasets}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: see `gf_env.storage.files.open_file`.
    """
    with open_file(path) as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
