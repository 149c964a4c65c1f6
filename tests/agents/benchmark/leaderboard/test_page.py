import dataclasses

import pytest

from agents.benchmark.leaderboard.measure import faults
from agents.benchmark.leaderboard.page import ORACLE, RANDOM, REFERENCE, make_page, scores
from agents.benchmark.leaderboard.rows import Entry, LeaderboardError, Row, read_entries
from gf_env.builtin_tasks import BUILTIN_TASKS
from tests.helpers.paths import ROOT

TASKS = list(BUILTIN_TASKS)
ROWS = ROOT / "docs" / "leaderboard"
PUBLISHED = read_entries(ROWS)


def entry(name, *accuracy, kind="learner", tasks=TASKS):
    """Of seeds with these accuracies at the end, on all tasks."""
    rows = tuple(
        Row(task, seed, name, {}, None, 20, (0.1, last), last - 0.1, {"network": task}, {})
        for task in tasks
        for seed, last in enumerate(accuracy)
    )
    return Entry(name, kind, f"About {name}.", rows)


ENTRIES = [
    entry(RANDOM, 0.2, 0.3, 0.4, kind="rule"),
    entry(ORACLE, 0.8, kind="bound"),
    entry(REFERENCE, 0.5, 0.55, 0.6),
    entry("better", 0.6, 0.65, 0.7),
    entry("here only", 0.75, tasks=["signposts"]),
    entry("easy", 0.9, tasks=["signposts-easy"]),
]


def lines_of(page, start):
    return [line for line in page.splitlines() if line.startswith(start)]


def test_scores_by_hand():
    found = scores(ENTRIES, ENTRIES[3], "signposts")
    assert found == pytest.approx([0.6, 0.7, 0.8])  # .3 is 0 and .8 is 1
    assert len(scores(ENTRIES, ENTRIES[3], "signposts-easy")) == 0
    assert len(scores(ENTRIES[1:], ENTRIES[3], "signposts")) == 0


def test_a_page_by_hand():
    page = make_page(ENTRIES)
    overall = page.split("## All tasks")[1].split("## cluttered-digits")[0]
    names = [line.split("|")[1].strip() for line in lines_of(overall, "| ")]
    assert names[2:] == [ORACLE, "better", REFERENCE, RANDOM, "here only"]
    (better,) = lines_of(overall, "| better")
    cells = [cell.strip() for cell in better.strip("|").split("|")]
    assert cells[:4] == ["better", "learner", "3", "70% [60, 80]"]
    # of nine pairs of seeds eight are better and one is as good
    assert cells[7].startswith("70% [") and cells[8].startswith(".94 [")
    (alone,) = lines_of(overall, "| here only")
    assert alone.split("|")[4:-1] == ["  ", "  ", " 90% ", "  ", "  ", "  "]
    section = page.split("## signposts\n")[1].split("## ")[0]
    (alone,) = lines_of(section, "| here only")
    assert alone == "| here only | learner | 1 | .100 .750 | .650 | 90% | 1.00 |"
    assert "## signposts-easy" in page and "- **better**: About better." in page


def test_rows_of_different_images_cannot_stand_in_one_table():
    odd = dataclasses.replace(ENTRIES[4].rows[0], images=30)
    others = [*ENTRIES[:4], dataclasses.replace(ENTRIES[4], rows=(odd,))]
    with pytest.raises(LeaderboardError, match="'here only' on signposts are of different"):
        make_page(others)


def test_the_published_page_is_that_of_its_rows():
    assert make_page(PUBLISHED) == (ROOT / "docs" / "LEADERBOARD.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "learned", [each for each in PUBLISHED if each.kind == "learner"], ids=lambda each: each.stem
)
def test_published_rows_of_learners_are_what_their_policies_do(learned):
    assert [*faults(ROWS, learned)] == []
