"""No source reads pickles, whoever wrote them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


SOURCES = sorted(
    path for package in ("gf_env", "agents") for path in (ROOT / package).rglob("*.py")
)


def is_true(word):
    return isinstance(word.value, ast.Constant) and word.value.value is True


def unsafe_loads(tree):
    """Lines where torch's reader is called, or taken, without weights_only=True."""
    safe = {
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and any(word.arg == "weights_only" and is_true(word) for word in node.keywords)
    }
    readers = {"torch.load", "torch.serialization.load"}
    for node in ast.walk(tree):
        taken = isinstance(node, ast.Attribute) and ast.unparse(node) in readers
        if taken and node not in safe:
            yield node.lineno
        if isinstance(node, ast.ImportFrom):
            yield from (
                node.lineno for each in node.names if f"{node.module}.{each.name}" in readers
            )


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_unpickles(path):
    assert "pickle" not in set(imported(path))
    assert not list(unsafe_loads(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("torch.load(path, weights_only=True)", True),
        ("torch.load(path)", False),
        ("torch.load(path, weights_only=False)", False),
        ("torch.load(path, weights_only=flag)", False),
        ("torch.load(path, **options)", False),
        ("read = torch.load", False),
        ("torch.serialization.load(path)", False),
        ("from torch import load", False),
        ("from torch.serialization import load as read", False),
    ],
)
def test_unsafe_loads_are_found(code, safe):
    assert (not list(unsafe_loads(ast.parse(code)))) is safe
