import pytest

from agents.play.courses import begin
from agents.play.opponents import BEST, LINEUPS, ORACLE, PAPER, Arenas, make_arena
from agents.policies.base import PrivilegedPolicy
from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS


def test_every_built_in_task_has_a_lineup():
    assert set(LINEUPS) == set(BUILTIN_TASKS)
    assert all(each.goal and set(each.best) <= set(BEST) for each in LINEUPS.values())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dataset", BUILTIN_TASKS)
def test_every_level_can_be_played(dataset, level):
    arena = make_arena(dataset, level)
    names = [each.name for each in arena.opponents]
    assert (PAPER in names) == (dataset == "cluttered-digits") and names[-1] == ORACLE
    played = arena.opponents_on(3)
    assert all(each.over for each in played)
    assert played[-1].total > 0
    for each in arena.opponents:
        assert each.hints == (not isinstance(each.policy, PrivilegedPolicy))
        if each.hints:
            assert arena.hint(each.name, begin(arena.task, 3)).max() > 0


def test_own_policies_play_where_they_fit():
    arenas = Arenas(("random", "cluttered-digits-search"))
    arena = arenas.get("hidden-digits", "easy")
    assert [each.name for each in arena.opponents] == ["saliency (a rule)", "random", ORACLE]
    assert [each.partition(":")[0] for each in arena.left_out] == ["cluttered-digits-search"]
    assert arenas.get("hidden-digits", "easy") is arena


@pytest.mark.parametrize(
    "dataset, level, message",
    [("digits", "easy", "unknown task 'digits'"), ("signposts", "odd", "unknown level 'odd'")],
)
def test_what_does_not_exist_is_refused(dataset, level, message):
    with pytest.raises(ValueError, match=message):
        make_arena(dataset, level)
