"""Data flows one way: `agents` builds on `gf_env`, never the other way round."""

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


@pytest.mark.parametrize("path", sorted((ROOT / "gf_env").rglob("*.py")), ids=str)
def test_gf_env_never_imports_agents(path):
    assert not [name for name in imported(path) if name.split(".")[0] == "agents"]


@pytest.mark.parametrize("path", sorted((ROOT / "gf_env").rglob("*.py")), ids=str)
def test_nothing_unpickles(path):
    assert "pickle" not in set(imported(path))
    assert "torch.load" not in path.read_text()
