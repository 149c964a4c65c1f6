"""The Python in README and docs runs as it stands, with a shorter training."""

import re

import pytest

from tests.helpers.paths import ROOT

BLOCK = r"```python\n(.*?)```"
NAMES = ("README", "docs/TRAINING", "docs/STOPPING", "docs/LIBRARIES", "docs/IMAGES")
README, TRAINING, STOPPING, LIBRARIES, IMAGES = (
    (ROOT / f"{name}.md").read_text() for name in NAMES
)
BLOCKS = re.findall(BLOCK, README, re.DOTALL)
BLOCKS += re.findall(BLOCK, TRAINING.split("## Early exit")[1], re.DOTALL)[:1]
BLOCKS += re.findall(BLOCK, STOPPING, re.DOTALL)
BLOCKS += re.findall(BLOCK, LIBRARIES, re.DOTALL)
BLOCKS += re.findall(BLOCK, IMAGES, re.DOTALL)
SHORTER = {
    "200_000": "1",
    "num_images=500": "num_images=20",
    'split="validation").max': 'split="validation", num_images=100).max',
    "range(640)": "range(128)",
    "feature_bank=True": 'split="validation", feature_bank=True',
}


@pytest.mark.parametrize("number", range(8))
def test_block(number, capsys):
    assert len(BLOCKS) == 8
    block = BLOCKS[number]
    for long, short in SHORTER.items():
        block = block.replace(long, short)
    exec(compile(block, f"block {number}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    assert number != 4 or "tensor([" in printed
