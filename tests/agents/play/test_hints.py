import numpy as np
import pytest
import torch

from agents import BeliefPolicy, CoverPolicy, PaperPolicy, RandomPolicy, SequencePolicy
from agents.play import courses, hints
from gf_env import geometry
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task


@pytest.fixture(scope="module")
def task():
    return make_task(split="test")


def look_at(task, course, row, col):
    where = courses.patch_around(task.network.config, row, col)
    return courses.look_again(task, course, Look(where))


def test_a_rule_shows_its_next_patch(task):
    rule = SequencePolicy(np.array([[-1, -1], [1, 1]]))
    course = courses.begin(task, 0)
    for top in (0, 72):
        heat = hints.next_look(task, rule, course.states)
        wanted = np.zeros((96, 96))
        wanted[top : top + 24, top : top + 24] = 1
        np.testing.assert_allclose(heat, wanted, atol=1e-5)
        course = look_at(task, course, 0.3, 0.7)


def test_chance_is_spread_out(task):
    heat = hints.next_look(task, RandomPolicy(), courses.begin(task, 0).states)
    assert heat.dtype == np.float32 and heat.shape == (96, 96)
    assert heat.sum() == pytest.approx(24 * 24, rel=1e-3)
    assert (heat > 0).mean() > 0.9 and heat.max() < 0.3


def test_the_papers_policy_is_hottest_where_it_would_look(task):
    policy, course = PaperPolicy.load("cluttered-digits"), courses.begin(task, 5)
    heat = hints.next_look(task, policy, course.states)
    top, left = courses.play(task, policy, 5).corners(task.network.config)[0]
    assert heat[top : top + 24, left : left + 24].sum() > 0.6 * heat.sum()


def test_whoever_follows_the_belief_is_led_on(task):
    policy = BeliefPolicy.load("cluttered-digits-search")
    for index in range(5):
        course = courses.begin(task, index)
        own = courses.play(task, policy, index).corners(task.network.config)
        for step, (top, left) in enumerate(own):
            heat = hints.next_look(task, policy, course.states)
            hot = [
                heat[row + 8 : row + 16, col + 8 : col + 16].mean() for row, col in own[: step + 1]
            ]
            assert hot[-1] == max(hot) > 0.1
            course = look_at(task, course, (top + 12) / 96, (left + 12) / 96)


def test_an_own_choice_corrected_to_itself_changes_nothing(task):
    policy = BeliefPolicy.load("cluttered-digits-search")
    state, memory = courses.begin(task, 2).states[0], None
    for step in range(3):
        before = memory
        chosen, memory = policy.predict(
            courses.observed(policy, state), before, np.array([step == 0]), deterministic=True
        )
        grid = geometry.Lattice.grid(7, 96, 24).locations()
        where = grid[torch.from_numpy(chosen)]
        np.testing.assert_array_equal(policy.corrected(before, memory, where.numpy()), memory)
        state, _, _ = task.step(state, Look(where))


def test_a_corrected_choice_is_one_that_was_never_made(task):
    policy = BeliefPolicy.load("cluttered-digits-search")
    state, places = courses.begin(task, 2).states[0], policy.network.config.places**2
    _, after = policy.predict(courses.observed(policy, state), None, None, deterministic=True)
    corner = policy.corrected(None, after, np.zeros((1, 2), np.float32))
    assert corner[0, -1] == 1  # the first patch, counted from 1
    np.testing.assert_array_equal(corner[:, :places], after[:, :places])
    unseen = 1 - policy.network.coverage[0].numpy()
    np.testing.assert_array_equal(corner[0, places:-1], unseen)


def test_a_policy_with_a_memory_that_cannot_be_told_is_asked_all_the_same(task):
    course = look_at(task, courses.begin(task, 0), 0.5, 0.5)
    assert hints.next_look(task, CoverPolicy(task.network), course.states).max() > 0.99
