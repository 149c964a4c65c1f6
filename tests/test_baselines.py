import numpy as np
import pytest

import agents


def observation(count):
    return {
        "features": np.zeros((count, 4, 2, 2), np.float32),
        "hidden_state": np.zeros((count, 3), np.float32),
    }


def first_call(policy, count=3):
    return policy.predict(observation(count), None, np.ones(count, bool))


def test_centre():
    actions, _ = first_call(agents.CentrePolicy())
    assert actions.tolist() == [[0, 0]] * 3
    assert actions.dtype == np.float32


def test_centre_then_corners_in_the_papers_order():
    policy = agents.CentreCornerPolicy()
    actions, state = first_call(policy, 1)
    taken = [actions[0].tolist()]
    for _ in range(5):
        actions, state = policy.predict(observation(1), state, np.zeros(1, bool))
        taken.append(actions[0].tolist())
    assert taken == [[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1], [0, 0]]


def test_memory_is_cleared_in_the_rows_that_start():
    policy = agents.CentreCornerPolicy()
    _, state = first_call(policy)
    actions, state = policy.predict(observation(3), state, np.array([False, True, False]))
    assert actions.tolist() == [[-1, -1], [0, 0], [-1, -1]]
    assert state.tolist() == [2, 1, 2]


@pytest.mark.parametrize("make", [agents.RandomPolicy, agents.GaussianPolicy])
def test_random_rules(make):
    count = 4000
    actions, _ = first_call(make(seed=1), count)
    again, _ = first_call(make(seed=1), count)
    other, _ = first_call(make(seed=2), count)
    assert np.array_equal(actions, again)
    assert not np.array_equal(actions, other)
    assert actions.shape == (count, 2)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    assert np.abs(actions.mean(axis=0)).max() < 0.05


def test_random_is_uniform_and_gaussian_is_central():
    uniform, _ = first_call(agents.RandomPolicy(), 4000)
    central, _ = first_call(agents.GaussianPolicy(std=0.3), 4000)
    assert np.std(uniform) == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert np.std(central) == pytest.approx(0.3, abs=0.02)


def test_all_are_policies():
    for policy in (agents.RandomPolicy(), agents.CentrePolicy(), agents.GaussianPolicy()):
        assert isinstance(policy, agents.Policy)
        assert not isinstance(policy, agents.PrivilegedPolicy)
    assert isinstance(agents.GreedyOracle(), agents.PrivilegedPolicy)


def test_unbatched_observations_are_explained():
    single = {key: value[0] for key, value in observation(1).items()}
    with pytest.raises(ValueError, match=r"batched.*value\[None\]"):
        agents.RandomPolicy().predict(single)


def test_bad_settings():
    with pytest.raises(ValueError, match="std"):
        agents.GaussianPolicy(std=0)
    with pytest.raises(ValueError, match=r"shape \(k, 2\)"):
        agents.SequencePolicy(np.zeros((0, 2)))
