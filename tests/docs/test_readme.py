"""The Python in README and docs runs as it stands, with a shorter training."""

import re

import pytest

from tests.helpers.paths import ROOT

BLOCK = r"```python\n(.*?)```"
README, TRAINING = ((ROOT / name).read_text() for name in ("README.md", "docs/TRAINING.md"))
BLOCKS = re.findall(BLOCK, README, re.DOTALL)
BLOCKS += re.findall(BLOCK, TRAINING.split("## Early exit")[1], re.DOTALL)[:1]
SHORTER = {"200_000": "1", "feature_bank=True": 'split="validation", feature_bank=True'}


@pytest.mark.parametrize("number", range(5))
def test_block(number, capsys):
    assert len(BLOCKS) == 5
    block = BLOCKS[number]
    for long, short in SHORTER.items():
        block = block.replace(long, short)
    exec(compile(block, f"block {number}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    assert number < 4 or "tensor([" in printed
