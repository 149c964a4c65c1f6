"""Gives damaged and forged files to every loader, each in a process of its own with limits.

    python -m tests.soak.run files --seed 0 --length 2000

A variant is mishandled if it is accepted although it gives something else than the good file, if
the error is none that the loaders promise, if it takes too long or too much memory, or if anything
is written elsewhere, or a process started.
"""

import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmark.results import ResultsError
from gf_env.storage.tensors import TensorFileError
from tests.hostile.loaders import LOADERS, Loader
from tests.hostile.variants import Write, variants
from tests.soak.outcome import Row, Say

MOST_SECONDS, MOST_BYTES = 5.0, 1 << 30
"""Of processor time, and of memory beyond what the good file takes."""
_PATIENCE = 60.0
"""Seconds until a process that hangs is killed; the machine may be busy."""
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.spawn", "os.posix_spawn", "socket")
_PROMISED = (TensorFileError, ResultsError)


def run(seed: int, length: int, say: Say) -> list[Row]:
    """Try so many variants of all loaders' files together; return a row of each loader."""
    rows: list[Row] = []
    for number, (name, loader) in enumerate(LOADERS.items(), 1):
        count = length * number // len(LOADERS) - sum(row.tried for row in rows)
        faults = mishandled(loader, seed, count)
        for fault in faults:
            say(f"{name}: {fault}")
        rows.append(Row(name, count, tuple(faults)))
    say(f"{sum(len(row.faults) for row in rows)} of {length} variants mishandled")
    return rows


def mishandled(loader: Loader, seed: int, count: int) -> list[str]:
    """Return a line on each of so many variants of a loader's file that was mishandled."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        good = Path(folder) / "good"
        good.mkdir()
        loader.make(good / loader.file)
        content = (good / loader.file).read_bytes()
        loader.load(good / loader.file)  # what that imports, no variant has to import again
        expected, _, usual = _in_a_process(loader, good / loader.file, good)
        if expected[0] != "same":
            raise RuntimeError(f"the good file cannot be loaded: {expected}")
        made = variants(content, loader.file, np.random.default_rng(seed))
        for _, (what, write, must_fail) in zip(range(count), made, strict=False):
            place = Path(folder) / "bad"
            fault = _try(loader, good, place, expected[1], usual, (what, write, must_fail))
            if fault:
                faults.append(f"{what}: {fault}")
            shutil.rmtree(place)
    return faults


def _try(
    loader: Loader,
    good: Path,
    place: Path,
    expected: str,
    usual: int,
    variant: tuple[str, Write, bool],
) -> str:
    """Load a variant; return what is wrong with how that went, or nothing."""
    what, write, must_fail = variant
    shutil.copytree(good, place)
    path = place / loader.file
    path.unlink()
    write(path)
    (kind, found), seconds, memory = _in_a_process(loader, path, place)
    if kind == "same":
        same = found == expected or not loader.signed or what.startswith("forged")
        may_be_missing = what == "no file" and not loader.needed
        fault = "accepted" if (must_fail and not may_be_missing) or not same else ""
    else:
        fault = "" if kind == "refused" else found
    if seconds > MOST_SECONDS:
        fault += f"; took {seconds:.1f} s"
    if memory - usual > MOST_BYTES:
        fault += f"; took {(memory - usual) / 1e9:.1f} GB"
    return fault


def _in_a_process(loader: Loader, path: Path, folder: Path) -> tuple[tuple[str, str], float, int]:
    """Load a file in a process; return what came of it, processor seconds and bytes of memory."""
    context = multiprocessing.get_context("fork")  # what is imported stays so
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_load, args=(loader, path, folder, sender))
    process.start()
    sender.close()
    result: tuple[tuple[str, str], float, int] = (("died", "ended without a word"), 0.0, 0)
    if not receiver.poll(_PATIENCE):
        process.kill()
        result = (("hangs", f"no answer in {_PATIENCE:.0f} s"), _PATIENCE, 0)
    else:
        with contextlib.suppress(EOFError):
            result = receiver.recv()
    process.join()
    return result


def _load(loader: Loader, path: Path, folder: Path, sender: Connection) -> None:
    """Load a file and send what came of it; the main function of a process."""
    written: list[str] = []
    sys.addaudithook(lambda event, args: _watch(event, args, folder, written))
    began = time.process_time()
    try:
        outcome = ("same", str(loader.load(path)))
    except _PROMISED as error:
        outcome = ("refused", str(error))
    except (ValueError, OSError) as error:
        # others promise a ValueError; a traceback for users is whatever else there is
        outcome = ("refused", str(error))
    except BaseException as error:
        outcome = ("error", f"{type(error).__name__}: {str(error)[:100]}")
    if written:
        outcome = ("written", f"did {written[:3]}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sender.send((outcome, time.process_time() - began, memory))
    sender.close()
    os._exit(0)


def _watch(event: str, args: tuple[Any, ...], folder: Path, written: list[str]) -> None:
    """Note what is written outside of a folder, and processes that are started."""
    if event.startswith(_FORBIDDEN):
        written.append(event)
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        changes = (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        where = Path(os.path.realpath(os.fsdecode(args[0])))  # loops of links are no error here
        inside = where.is_relative_to(folder.resolve())
        if changes and not inside:
            written.append(f"open {os.fsdecode(args[0])}")
