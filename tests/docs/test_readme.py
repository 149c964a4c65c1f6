"""The Python in README and docs runs as it stands, with a shorter training."""

import re

import pytest

from tests.helpers.paths import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
SHORTER = {"200_000": "1", "feature_bank=True": 'split="validation", feature_bank=True'}


@pytest.mark.parametrize("number", range(4))
def test_block(number, capsys):
    assert len(BLOCKS) == 4
    block = BLOCKS[number]
    for long, short in SHORTER.items():
        block = block.replace(long, short)
    exec(compile(block, f"README block {number}", "exec"), {})
    assert capsys.readouterr().out


def test_early_exit_in_the_docs(capsys):
    text = (ROOT / "docs" / "TRAINING.md").read_text()
    block = text.split("## Early exit")[1].split("```python\n")[1].split("```")[0]
    exec(compile(block, "docs block", "exec"), {})
    assert "tensor([" in capsys.readouterr().out
