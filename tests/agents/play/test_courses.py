import numpy as np
import pytest

import gf_env
from agents import BeliefPolicy, GreedyOracle, PaperPolicy, SequencePolicy, StopWhenSure
from agents.play import courses
from gf_env import geometry
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from tests.helpers.tiny import random_network


@pytest.mark.parametrize("size, patch", [(16, 8), (16, 16), (17, 8), (45, 7)])
@pytest.mark.parametrize("row", [-3, 0, 0.2, 0.5, 0.77, 1, 2])
def test_a_patch_is_around_the_place_as_far_as_the_image_reaches(size, patch, row):
    config = random_network(image_size=size, patch_size=patch).config
    location = courses.patch_around(config, row, 1 - row)
    corners = geometry.corners(location, size, patch)[0]
    travel = size - patch
    wanted = [
        np.clip(round(np.clip(at, 0, 1) * size - patch / 2), 0, travel) for at in (row, 1 - row)
    ]
    assert corners.tolist() == wanted


def test_every_corner_can_be_looked_at():
    config = random_network(image_size=33, patch_size=8).config
    rows = [(corner + 4) / 33 for corner in range(26)]
    found = [courses.patch_around(config, row, 0.5) for row in rows]
    assert [int(geometry.corners(each, 33, 8)[0, 0]) for each in found] == list(range(26))


@pytest.mark.parametrize("place", [(float("nan"), 0), (0, float("nan"))])
def test_a_place_that_is_none_is_refused(place):
    with pytest.raises(ValueError, match="a row and a column"):
        courses.patch_around(random_network().config, *place)


def test_looks_are_recorded(target_task):
    course = courses.begin(target_task, 3)
    assert (course.looks, course.rewards, course.over) == (1, (), False)
    where = courses.patch_around(target_task.network.config, 0.5, 0.0)
    longer = courses.look_again(target_task, course, Look(where))
    assert course.looks == 1  # a course is never changed
    assert longer.looks == 2 and len(longer.rewards) == 1
    assert longer.corners(target_task.network.config) == [[10, 0]]
    gained = longer.probabilities()[1] - course.probabilities()[1]
    assert longer.total == pytest.approx(gained, abs=1e-6)
    assert longer.label == 1 and longer.correct == (longer.prediction == 1)


@pytest.mark.parametrize(
    "policy",
    [
        lambda: PaperPolicy.load("cluttered-digits"),
        lambda: BeliefPolicy.load("cluttered-digits-search"),
        lambda: GreedyOracle(3),
        lambda: SequencePolicy(np.array([[0, 0], [1, -1]])),
    ],
    ids=["paper", "belief", "oracle", "sequence"],
)
def test_policies_play_as_they_are_evaluated(policy):
    task = make_task(split="test", num_scenes=4)
    played = [courses.play(task, policy(), index) for index in range(4)]
    evaluation = gf_env.evaluate(policy(), num_scenes=4)
    locations = [each.states[-1].locations[0].numpy() for each in played]
    np.testing.assert_allclose(locations, evaluation.locations, atol=1e-5)
    assert [each.correct for each in played] == evaluation.correct[:, -1].tolist()
    np.testing.assert_allclose([each.total for each in played], evaluation.returns, atol=1e-4)


def test_a_policy_may_stop(target_task):
    sure = StopWhenSure(SequencePolicy(np.zeros((1, 2))), (0.0,) * 4)
    course = courses.play(target_task, sure, 0)
    assert course.over and course.looks < target_task.rules.sequence_length
