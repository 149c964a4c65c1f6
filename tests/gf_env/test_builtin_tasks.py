import pytest

from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS, played_with
from gf_env.datasets.scenes.registry import TASKS


@pytest.mark.parametrize("task", BUILTIN_TASKS)
def test_levels_are_those_of_the_scenes(task):
    names = [BUILTIN_TASKS[task].at(level).dataset for level in LEVELS]
    assert names == [kind.name for kind in TASKS[task]]
    assert names[LEVELS.index("default")] == task
    for level, name in zip(LEVELS, names, strict=True):
        assert played_with(task, level) == played_with(name)


def test_what_is_no_built_in_task_has_the_default_network_only():
    assert played_with("a/folder") == ("a/folder", "cluttered-digits", None, 7)
    assert played_with("a/folder", "default") == played_with("a/folder")


@pytest.mark.parametrize(
    ("dataset", "level", "message"),
    [
        (
            "signposts",
            "medium",
            r"unknown level 'medium' of signposts; .*'easy', 'default', 'hard'",
        ),
        (
            "signpost",
            "easy",
            "data set 'signpost' has no level 'easy'; .*'signposts', 'digit-sums'",
        ),
        ("signposts-easy", "easy", "data set 'signposts-easy' has no level 'easy'"),
        ("a/folder", "hard", "data set 'a/folder' has no level 'hard'; .*'cluttered-digits'"),
    ],
)
def test_levels_that_are_not_there(dataset, level, message):
    with pytest.raises(ValueError, match=message):
        played_with(dataset, level)
