"""Which software made a result, and on what machine."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

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
