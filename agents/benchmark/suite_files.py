"""Suites in TOML files: those of the package, by name, and the user's own."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from agents.benchmark.suite import Curves, Difference, Entry, Setting, Suite
from gf_env.storage.files import read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent / "suites"
_SUFFIX = ".toml"
_Made = TypeVar("_Made")


def suite_names() -> list[str]:
    """Return the names of the suites that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def load_suite(name_or_path: str, included_by: tuple[str, ...] = ()) -> Suite:
    """Return a suite by its name (see `suite_names`) or TOML file.

    A file has `description`, `seeds`, optionally `random`, `oracle` and `reference`,
    `[[settings]]`, `[[policies]]`, `[[differences]]` and `[[curves]]` with the fields of `Setting`,
    `Entry`, `Difference` and `Curves`; `include`, names of suites whose policies come first; and
    `[base]`, fields that all policies of the file start from.

    Args:
        name_or_path: the name or the file.
        included_by: the suites that include this one, the outermost first.

    Raises:
        ValueError: no such suite, or one that cannot be.
    """
    if name_or_path in included_by:
        chain = " includes ".join(map(repr, (*included_by, name_or_path)))
        raise ValueError(f"a suite cannot include itself: {chain}")
    known = name_or_path in suite_names()
    path = _FOLDER / f"{name_or_path}{_SUFFIX}" if known else Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"unknown suite {name_or_path!r}: neither a file nor one of {suite_names()}"
        )
    try:
        content = tomllib.loads(read_file(path).decode())
        return _parse(path.stem, content, (*included_by, name_or_path))
    except (AttributeError, OSError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"suite {name_or_path!r} cannot be read: {error}") from error


def _parse(name: str, content: dict[str, Any], included_by: tuple[str, ...]) -> Suite:
    base = content.pop("base", {})
    included = [
        entry
        for other in content.pop("include", [])
        for entry in load_suite(other, included_by).entries
    ]
    own = [_make(Entry, "policy", _merge(base, policy)) for policy in content.pop("policies", [])]
    settings = content.pop("settings", [{"name": "cluttered digits"}])
    pairs, curves = content.pop("differences", []), content.pop("curves", [])
    return Suite(
        name=name,
        entries=(*included, *own),
        settings=tuple(_make(Setting, "setting", setting) for setting in settings),
        differences=tuple(_make(Difference, "difference", pair) for pair in pairs),
        curves=tuple(_make(Curves, "curves", each) for each in curves),
        **content,
    )


def _make(made: Callable[..., _Made], what: str, fields: Mapping[str, Any]) -> _Made:
    """Make a part of a suite of a table, whose name goes before what is wrong with it."""
    try:
        return made(**fields)
    except ValueError as error:
        raise ValueError(f"{what} {fields.get('name', '')!r}: {error}") from error


def _merge(base: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy's fields over the base's; tables are merged key by key."""
    merged = {**base, **policy}
    for key in base.keys() & policy.keys():
        if isinstance(base[key], dict):
            merged[key] = {**base[key], **policy[key]}
    return merged
