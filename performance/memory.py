"""How much memory the vector environment takes, in fresh processes.

What counts is resident host memory. Part of it are pages of files, such as scenes and feature
banks, which all processes share and the system takes back where memory is short. What an
environment adds is told by the peak while episodes run; with few environments, making them takes
more, since a feature bank is checked then.
`python -m performance.memory` with a setting in JSON is what each process runs.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from performance.settings import GRID_SIZE, Materials, NotMeasuredError

_STATUS = Path("/proc/self/status")
_FORGET_PEAK = Path("/proc/self/clear_refs"), "5"
_ROOT = Path(__file__).parent.parent
_STEPS = 9


@dataclass(frozen=True)
class Peak:
    """Of one process.

    Attributes:
        making: bytes at most until the environments are made.
        running: bytes at most after that.
        files: bytes of `running` that are pages of files.
    """

    making: float
    running: float
    files: float

    @property
    def own(self) -> float:
        """Bytes of `running` that are not pages of files."""
        return self.running - self.files


def measure_memory(materials: Materials, counts: tuple[int, ...], processes: int) -> dict[str, Any]:
    """Return what the vector environment takes for each number of environments.

    Args:
        materials: of the built-in task.
        counts: numbers of environments, the first is 1.
        processes: for each number; medians are taken.

    Returns:
        JSON-serialisable: `rows`, and `not_measured` with reasons by contender.
    """
    if not _STATUS.exists():
        return {"rows": [], "not_measured": {"all": f"this system has no {_STATUS}"}}
    setting = materials.setting
    arguments: dict[str, Any] = {"split": setting.split, "device": setting.device}
    rows = _rows("vector env", arguments, counts, processes)
    try:
        _ = materials.bank_task  # built here, or the processes would build it
    except NotMeasuredError as error:
        return {"rows": rows, "not_measured": {"vector env, bank": str(error)}}
    arguments |= {"grid_size": GRID_SIZE, "feature_bank": True}
    rows += _rows("vector env, bank", arguments, counts, processes)
    return {"rows": rows, "not_measured": {}}


def bytes_per_env(bytes_taken: float, bytes_of_one: float, num_envs: int) -> float | None:
    """Return what each environment after the first adds; None if there is no other."""
    return (bytes_taken - bytes_of_one) / (num_envs - 1) if num_envs > 1 else None


def _rows(
    contender: str, arguments: dict[str, Any], counts: tuple[int, ...], processes: int
) -> list[dict[str, Any]]:
    peaks = {count: _median_peak({"num_envs": count, **arguments}, processes) for count in counts}
    one = peaks[1]
    return [
        {
            "contender": contender,
            "num_envs": count,
            "processes": processes,
            "peak_bytes": max(peak.making, peak.running),
            "running_bytes": peak.running,
            "running_bytes_without_files": peak.own,
            "bytes_per_env": bytes_per_env(peak.running, one.running, count),
            "bytes_per_env_without_files": bytes_per_env(peak.own, one.own, count),
        }
        for count, peak in peaks.items()
    ]


def _median_peak(arguments: dict[str, Any], processes: int) -> Peak:
    command = [sys.executable, "-m", "performance.memory", json.dumps(arguments)]
    found = [
        json.loads(subprocess.run(command, cwd=_ROOT, capture_output=True, check=True).stdout)
        for _ in range(processes)
    ]
    return Peak(*(statistics.median(values) for values in zip(*found, strict=True)))


def _status(name: str) -> int:
    """Return a size of this process in bytes, by its name in `/proc/self/status`.

    `VmHWM` is the peak of resident memory. Not `ru_maxrss`, in which a process starts with the peak
    of the one that started it.
    """
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(words[1]) for words in lines if words[0] == f"{name}:") * 1024


def _main() -> None:
    env = gym.make_vec("GlanceFocus-v0", **json.loads(sys.argv[1]))
    making = _status("VmHWM")
    file, word = _FORGET_PEAK
    file.write_text(word)
    env.reset(seed=0)
    actions = env.action_space.sample()
    for _ in range(_STEPS):
        env.step(actions)
    print(json.dumps([making, _status("VmHWM"), _status("RssFile")]))


if __name__ == "__main__":
    _main()
