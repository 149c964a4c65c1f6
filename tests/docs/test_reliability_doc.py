"""What docs/RELIABILITY.md says is what `make soak` found."""

import json

from gf_env.envs.registration import ENV_IDS
from tests.helpers.paths import ROOT
from tests.hostile.loaders import LOADERS
from tests.soak.page import FOUND, PAGE, made_page
from tests.soak.run import SUITES
from tests.soak.steps import FORMS

TEXT = PAGE.read_text()
RUNS = json.loads(FOUND.read_text())


def rows(suite):
    return [row for run in RUNS if run["suite"] == suite for row in run["rows"]]


def test_the_tables_are_what_was_found():
    assert made_page(TEXT, RUNS) == TEXT


def test_nothing_was_mishandled():
    assert {run["suite"] for run in RUNS} == {*SUITES}
    assert [row for run in RUNS for row in run["rows"] if row["faults"]] == []


def test_two_seeds_of_hostile_files_over_all_loaders():
    files = [run for run in RUNS if run["suite"] == "files"]
    assert len({run["seed"] for run in files}) >= 2
    for run in files:
        assert {row["what"] for row in run["rows"]} >= {*LOADERS}  # some need an extra
        assert sum(row["tried"] for row in run["rows"]) >= 2000


def test_every_job_was_killed_often():
    assert all(row["tried"] >= 30 for row in rows("kills"))
    jobs = {row["what"] for row in rows("kills")}
    assert len(jobs) == 9
    assert (
        jobs == {row["what"] for row in rows("together")} == {row["what"] for row in rows("disk")}
    )


def test_every_id_was_stepped_in_every_form():
    assert {row["what"] for row in rows("steps")} == {
        f"{env_id}, {form}" for env_id in ENV_IDS for form in FORMS
    }


def test_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("soak", "mutants"):
        assert f"make {target}" in TEXT
        assert f"\n{target}: " in makefile
