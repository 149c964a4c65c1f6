"""A disk that becomes full at a random moment, and then has room again.

The disk is a small tmpfs, where one may be mounted; else no file may become longer than a limit.
The error has to name a file, nothing may be lost, and the job is resumed once there is room.
"""

import contextlib
import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.soak.jobs import Job, content, differences
from tests.soak.kills import prepared, reference
from tests.soak.outcome import Row, Say
from tests.soak.processes import Ended, Started

_PAGE = 4096
_PLENTY = 1 << 30
_WORDS = (os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG), "GB free")


def fill_disk(jobs: list[Job], place: Path, seed: int, length: int, say: Say) -> list[Row]:
    """Run each job so often on a disk that is too small; return a row of each."""
    rng = np.random.default_rng(seed)
    return [_fill(job, place, rng, length, say) for job in jobs]


@dataclass(frozen=True)
class Disk:
    """A folder with a limit.

    Attributes:
        path: the folder.
        kind: how it is limited.
        limit: changes the size of a `tmpfs`.
        limited: returns a job with a limit of each `file`, where that is what there is.
    """

    path: Path
    kind: str
    limit: Callable[[int], None]
    limited: Callable[[Callable[[Path], int], int], Callable[[Path], int]]


def _fill(job: Job, place: Path, rng: np.random.Generator, length: int, say: Say) -> Row:
    whole, _ = reference(job, place)
    expected, sizes = content(whole), _sizes(whole)
    faults, full = [], 0
    with _small_disk(place / "disk") as disk:
        for number in range(length):
            share = (number + rng.random()) / length
            folder = prepared(job, disk.path / "job")
            begins = sum(_sizes(folder))
            if disk.kind == "tmpfs":
                room = begins + int(share * (sum(sizes) - begins))
                disk.limit(max(_PAGE, room))
                ended = Started(job.do, folder).end()
                disk.limit(_PLENTY)
            else:
                ended = Started(disk.limited(job.do, int(share * max(sizes))), folder).end()
            again = Started(job.do, folder).end()
            full += ended.status != 0
            fault = _fault(ended, again) or "; ".join(differences(expected, content(folder))[:3])
            if fault:
                faults.append(f"{share:.2f} of the room: {fault}")
                say(f"{job.name}, {faults[-1]}")
        kind = disk.kind
    say(f"{job.name}: {full} of {length} times a full disk ({kind}), {len(faults)} faults")
    return Row(job.name, length, tuple(faults), {"failed": full, "disk": kind})


def _fault(ended: Ended, again: Ended) -> str:
    words = " ".join(ended.printed.split())
    if ended.status not in (0, 1) or "Traceback" in words:
        return f"exit status {ended.status}: {words[-400:]}"
    if ended.status == 1 and not any(word in words for word in _WORDS):
        return f"the error does not say that there is no room: {words[-400:]}"
    if again.status != 0:
        return f"it could not be resumed: {' '.join(again.printed.split())[-400:]}"
    return ""


def _sizes(folder: Path) -> list[int]:
    """Return the room that files and folders take, in whole pages."""
    return [-(-each.stat().st_size // _PAGE) * _PAGE or _PAGE for each in folder.rglob("*")] + [0]


@contextlib.contextmanager
def _small_disk(path: Path) -> Iterator[Disk]:
    """Mount a tmpfs; where that is not allowed, make a folder."""
    path.mkdir(parents=True, exist_ok=True)

    def resize(size: int) -> None:
        _mount("-o", f"remount,size={size}", str(path))

    try:
        _mount("-t", "tmpfs", "-o", f"size={_PLENTY}", "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError):
        yield Disk(path, "file", lambda size: None, _with_file_limit)
        return
    try:
        yield Disk(path, "tmpfs", resize, lambda do, size: do)
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _with_file_limit(do: Callable[[Path], int], size: int) -> Callable[[Path], int]:
    def limited(folder: Path) -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return do(folder)

    return limited
