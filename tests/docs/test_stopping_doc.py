"""What docs/STOPPING.md and the environment's card say of stopping is what was measured."""

import json
import re

import pytest

from gf_env.builtin_tasks import BUILTIN_TASKS
from gf_env.envs.env import GlanceFocusEnv
from gf_env.envs.registration import ENV_IDS
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "STOPPING.md").read_text()
REPORT = json.loads((DOCS / "results" / "stopping" / "report.json").read_text())["settings"][0]
LINES = {line["name"]: line for line in REPORT["lines"]}
(CURVES,) = REPORT["curves"]
AREAS = dict(zip(CURVES["rivals"], CURVES["areas"], strict=True))


def test_tables_are_the_reports():
    written = (DOCS / "results" / "stopping" / "report.md").read_text().splitlines()
    rows = [line for line in TEXT.splitlines() if line.startswith(("| learned", "| mean", "| bel"))]
    assert len(rows) == 12
    assert [row for row in rows if row not in written] == []


def test_learned_stopping_is_as_good_as_the_papers_thresholds():
    assert len(CURVES["seeds"]) == 5
    assert AREAS["paper's budgets"]["low"] > 0.06
    assert AREAS["fixed looks"]["low"] > 0.04
    assert AREAS["one confidence"]["low"] <= 0 <= AREAS["one confidence"]["high"]


def test_both_looking_and_stopping_pay_at_the_price_of_the_ids():
    price = BUILTIN_TASKS["cluttered-digits"].stop_cost
    stops = LINES[f"learned, price {price:g}"]
    never = LINES["belief search"]["mean_gain"]["estimate"] - 4 * price
    learned = stops["mean_return"]["estimate"]
    assert learned > max(never, 0) + 0.1
    card = " ".join(GlanceFocusEnv.__doc__.split())
    said = re.search(r"never stops one of ([.\d]+),.*one of ([.\d]+), with ([.\d]+) looks", card)
    looks = stops["mean_looks"]["estimate"] - 1
    assert list(map(float, said.groups())) == pytest.approx([never, learned, looks], abs=0.0051)
    assert f"`gf_env.builtin_tasks`, {price:g}," in card


@pytest.mark.parametrize("env_id", [name for name in ENV_IDS if "Stop" in name])
def test_ids_and_their_price(env_id):
    price = ENV_IDS[env_id]["look_cost"]
    (row,) = [line for line in TEXT.splitlines() if f"`{env_id}`" in line and line.startswith("|")]
    assert row.endswith(f"| {price:g} |")
