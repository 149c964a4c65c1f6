"""What tasks claim was measured, and bears out."""

import json

import pytest

from agents.tasks.claims import CLAIMS, Claim
from gf_env.builtin_tasks import BUILTIN_TASKS
from tests.helpers.paths import ROOT

MEASURED = json.loads((ROOT / "docs" / "tasks" / "claims.json").read_text())


def test_every_task_has_claims():
    assert list(CLAIMS) == list(BUILTIN_TASKS) == list(MEASURED["tasks"])
    assert MEASURED["test_images"] == 2000


@pytest.mark.parametrize("task", BUILTIN_TASKS)
def test_what_was_measured_is_within_its_bounds(task):
    claims = [Claim(**each) for each in MEASURED["tasks"][task]]
    assert [claim.text for claim in claims if not claim.holds] == []
    assert any(claim.least is not None or claim.most is not None for claim in claims)


@pytest.mark.parametrize("task", ["signposts", "cluttered-digits"])
def test_a_few_scenes_measured_anew(task):
    """About as much as on all of them; the belief and the beam search take minutes."""
    found = CLAIMS[task](150)
    for claim, known in zip(found, MEASURED["tasks"][task], strict=True):
        assert claim._replace(value=0)._asdict() == {**known, "value": 0}
        assert claim.value == pytest.approx(known["value"], abs=0.12)


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [((None, None), True), ((0.4, None), True), ((0.6, None), False), ((None, 0.4), False)],
)
def test_bounds(bounds, holds):
    assert Claim("", 0.5, *bounds).holds is holds
