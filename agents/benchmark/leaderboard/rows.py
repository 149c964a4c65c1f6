"""Rows of the table on disk: a small JSON file a policy, and the files of trained policies."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agents.registry.policies import BOUNDS, RULES
from gf_env.import_paths import is_module_path
from gf_env.storage.assets import asset_names, find_tensor_file
from gf_env.storage.files import parse_json, read_file, short, write_atomically

FORMAT = "gf-env leaderboard 1"
LARGEST_POLICY = 2 << 20
"""Bytes of a trained policy's file: a repository keeps every version of it."""
POLICIES = "policies"
"""The folder with files of trained policies, beside the rows."""


class LeaderboardError(ValueError):
    """Rows that cannot be read, or that are not what their policies do."""


@dataclass(frozen=True)
class Row:
    """What one policy did on the test split of one task, with its likeliest actions.

    Attributes:
        task: name of the built-in data set, with its level where that is not the default.
        seed: of the training, or of a rule's draws.
        policy: a name that `agents.registry.policies.make_policy` opens; a file's is relative to
            the folder of rows.
        settings: of a rule.
        digest: SHA-256 of its file; None where it is none.
        images: how many of the test split, its first ones.
        accuracy: after each of T looks.
        mean_return: of the episodes.
        identity: images and network, see `agents.benchmark.running.one_run.task_identity`.
        made: versions, processor, and when.
    """

    task: str
    seed: int
    policy: str
    settings: dict[str, Any]
    digest: str | None
    images: int
    accuracy: tuple[float, ...]
    mean_return: float
    identity: dict[str, Any]
    made: dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A policy of the table.

    Attributes:
        name: how the table calls it.
        kind: `learner`, `rule` or `bound` (it sees labels).
        about: in a sentence or two: what it is, how it was made, where to read on.
        rows: a row a task and seed.
    """

    name: str
    kind: str
    about: str = ""
    rows: tuple[Row, ...] = field(default_factory=tuple)

    @property
    def stem(self) -> str:
        """What its files' names begin with."""
        return file_stem(self.name)

    def with_row(self, row: Row) -> "Entry":
        """Return it with a row more, or in the place of that of the same task and seed."""
        place = row.task, row.seed
        others = [each for each in self.rows if (each.task, each.seed) != place]
        ordered = sorted([*others, row], key=lambda each: (each.task, each.seed))
        return dataclasses.replace(self, rows=tuple(ordered))


_ENTRY = TypeAdapter(Entry)


def file_stem(name: str) -> str:
    """Return a name as files are called: small letters, digits and hyphens.

    Raises:
        ValueError: nothing of it is left.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not stem:
        raise ValueError(f"a name needs a letter or a digit, got {name!r}")
    return stem


def kind_of(policy: str) -> str:
    """Return which kind of entry a policy's name makes."""
    if policy in RULES:
        return "rule"
    return "bound" if policy in BOUNDS else "learner"


def read_entries(folder: Path) -> list[Entry]:
    """Return all entries of a folder, by the names of their files.

    Raises:
        LeaderboardError: a file that holds something else.
    """
    return [read_entry(path) for path in sorted(folder.glob("*.json"))]


def read_entry(path: Path) -> Entry:
    """Return the entry in a file.

    Raises:
        LeaderboardError: it holds something else.
    """
    try:
        described = parse_json(read_file(path), finite=True)
        if not isinstance(described, dict) or described.pop("format", None) != FORMAT:
            raise ValueError(f"it has no format {FORMAT!r}")
        entry = _ENTRY.validate_python(described)
        if path.stem != entry.stem:
            raise ValueError(f"{entry.name!r} belongs into {entry.stem}.json")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise LeaderboardError(f"{path} is no entry of the table: {reason}") from error
    return entry


def write_entry(folder: Path, entry: Entry) -> Path:
    """Write an entry's file; return where."""
    path = folder / f"{entry.stem}.json"
    described = {"format": FORMAT, **dataclasses.asdict(entry)}
    rows = [json.dumps(row) for row in described.pop("rows")]
    head = json.dumps(described, indent=1).removesuffix("\n}")
    # a row a line, so that changes are seen
    text = head + ',\n "rows": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    write_atomically(path, text.encode())
    return path


def keep_policy(folder: Path, policy: str, stem: str) -> tuple[str, str | None]:
    """Copy a policy's file to the rows; return what its row calls it, and the file's digest.

    Args:
        folder: of the rows.
        policy: a file; whatever else it may be stays what it is.
        stem: the copy's name without its ending.

    Raises:
        ValueError: a file that is too large.
    """
    path = Path(policy)
    if _is_no_file(policy):
        return policy, None
    if policy in asset_names("agents"):
        return policy, _digest(find_tensor_file("agents", policy).read_bytes())
    content = read_file(path)
    if len(content) > LARGEST_POLICY:
        raise ValueError(
            f"{policy} has {len(content):,} bytes, and a policy of the table at most "
            f"{LARGEST_POLICY:,}: a smaller network, or fewer components of its features"
        )
    kept = Path(POLICIES) / f"{stem}{path.suffix}"
    write_atomically(folder / kept, content)
    return kept.as_posix(), _digest(content)


def open_name(folder: Path, row: Row) -> str:
    """Return the name that a row's policy is opened by.

    Raises:
        LeaderboardError: its file is not there, or is another one.
    """
    if _is_no_file(row.policy):
        return row.policy
    is_built_in = row.policy in asset_names("agents")
    path = find_tensor_file("agents", row.policy) if is_built_in else folder / row.policy
    if not path.resolve().is_relative_to(folder.resolve()) and not is_built_in:
        raise LeaderboardError(f"its policy {row.policy} is not in {folder}")
    if not path.is_file():
        raise LeaderboardError(f"its policy {row.policy} is not there")
    digest = _digest(path.read_bytes())
    if digest != row.digest:
        raise LeaderboardError(
            f"its policy {row.policy} is another file: its SHA-256 was {short(row.digest)} and is "
            f"now {digest}"
        )
    return row.policy if is_built_in else str(path)


def _is_no_file(policy: str) -> bool:
    return policy in RULES or policy in BOUNDS or is_module_path(policy)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def settings_for(policy: str, grid_size: int) -> Mapping[str, Any]:
    """Return settings of a rule or bound on a task with a grid of that size.

    The beam is wide enough for two looks that only gain together.
    """
    if policy == "beam-search-oracle":
        return {"grid_size": grid_size, "width": grid_size**2}
    return {"grid_size": grid_size} if policy == "greedy-oracle" else {}
