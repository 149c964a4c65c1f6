"""The README's Python runs as it stands, with a shorter training."""

import re
from pathlib import Path

import pytest

BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parent.parent / "README.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize("number", range(3))
def test_block(number, capsys):
    assert len(BLOCKS) == 3
    exec(compile(BLOCKS[number].replace("200_000", "1"), f"README block {number}", "exec"), {})
    assert capsys.readouterr().out
