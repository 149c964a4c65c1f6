"""README's table of policies is what `make demo` wrote."""

import json
import re

from tests.helpers.paths import ROOT

FOUND = json.loads((ROOT / "docs" / "demo" / "results.json").read_text())
README = (ROOT / "README.md").read_text()
LENGTHS = {
    "SB3 PPO": r"(?P<sb3_steps>[\d,]+) steps in (?P<sb3>\d+) s",
    "paper's policy": r"(?P<paper_updates>[\d,]+) updates in (?P<paper_seconds>\d+) s",
    "Q-learning on a map": r"(?P<map_steps>[\d,]+) steps in (?P<map_seconds>\d+) s",
}


def _table() -> list[list[str]]:
    table = README[README.index("| 2,000 test scenes |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_the_table_is_the_demos():
    rows = _table()
    assert len(rows) == len(FOUND["policies"])
    by_name = {each["name"]: each for each in FOUND["policies"]}
    for name, accuracy, mean_return, gap in rows:
        found = by_name.pop(name.split(",")[0] if name.split(",")[0] in LENGTHS else name)
        assert accuracy == " ".join(f"{each:.3f}"[1:] for each in found["accuracy"])
        assert mean_return == f"{found['mean_return']:.3f}"
        assert gap == f"{found['gap_closed']:.0%}"


def test_how_long_learners_trained():
    names = {name.split(",")[0]: name for name, *_ in _table()}
    for name, pattern in LENGTHS.items():
        said = re.search(pattern, names[name])
        assert said is not None, names[name]
        for length, figure in said.groupdict().items():
            found = FOUND["settings"]["sb3_seconds"] if length == "sb3" else FOUND[length]
            assert int(figure.replace(",", "")) == round(found)
