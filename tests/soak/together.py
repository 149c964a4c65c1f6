"""Two processes that do the same job in one folder at the same time.

One is refused, or waits for the other; the folder holds what one of them alone would have made.
"""

from pathlib import Path

from tests.soak.jobs import Job, content, differences
from tests.soak.kills import prepared, reference
from tests.soak.outcome import Row, Say
from tests.soak.processes import Ended, Started

_REFUSED = "another process is"


def run_together(jobs: list[Job], place: Path, seed: int, length: int, say: Say) -> list[Row]:
    """Run each job so often twice at once; return a row of each. Nothing is drawn from the seed."""
    del seed  # when two processes begin is chance enough
    return [_twice(job, place, length, say) for job in jobs]


def _twice(job: Job, place: Path, length: int, say: Say) -> Row:
    expected = content(reference(job, place)[0])
    faults, refused = [], 0
    for _ in range(length):
        folder = prepared(job, place / "together")
        both = [Started(job.do, folder) for _ in range(2)]
        ended = [each.end() for each in both]
        refused += sum(each.status == 1 for each in ended)
        fault = "; ".join([*_faults(job, ended), *differences(expected, content(folder))][:3])
        if fault:
            faults.append(fault)
            say(f"{job.name}, twice at once: {fault}")
    say(f"{job.name}: {length} times twice at once, {len(faults)} faults")
    return Row(job.name, length, tuple(faults), {"refused": refused})


def _faults(job: Job, ended: list[Ended]) -> list[str]:
    if all(each.status == 0 for each in ended):
        return []  # the first had ended before the second began, or that one waited
    statuses = sorted(each.status for each in ended)
    words = [" ".join(each.printed.split()) for each in ended if each.status == 1]
    if statuses == [0, 1] and not job.waits and _REFUSED in words[0]:
        return []
    return [f"exit statuses {statuses}: {[word[-300:] for word in words]}"]
