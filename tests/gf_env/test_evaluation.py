from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

import agents
import gf_env
from gf_env.policy import ChoiceCost
from tests.helpers.policies import LastPatch, Recorder


def test_metrics_are_those_of_single_episodes(tiny):
    done = gf_env.evaluate(agents.CentreCornerPolicy(), **tiny, batch_size=7)
    env = gym.make("GlanceFocus-v0", **tiny)
    actions = np.float32([(0, 0), (-1, -1), (-1, 1), (1, -1)])
    for index in range(20):
        _, info = env.reset(options={"index": index})
        infos, rewards = [info], []
        for action in actions:
            _, reward, _, _, info = env.step(action)
            infos.append(info)
            rewards.append(reward)
        for name in ("confidence", "max_probability", "correct"):
            expected = [each[name] for each in infos]
            np.testing.assert_allclose(getattr(done, name)[index], expected, atol=1e-5)
        assert done.returns[index] == pytest.approx(sum(rewards), abs=1e-5)
        assert done.labels[index] == info["label"]
        assert done.multiply_adds.tolist() == [each["multiply_adds"] for each in infos]
    assert done.indices.tolist() == list(range(20))
    assert done.locations[3].tolist() == [[0.5, 0.5], [0, 0], [0, 1], [1, 0]]
    assert done.accuracy.tolist() == done.correct.mean(axis=0).tolist()


def test_the_policys_multiply_adds_count(tiny):
    network = agents.PatchProposalNetwork(agents.PatchProposalConfig((128, 1, 1), hidden_size=10))
    policy = agents.PaperPolicy(network)
    # convolution, linear layer, the GRU's six gates, actor and critic
    choice = 128 * 32 + 32 * 10 + 6 * 10 * 10 + 10 * 2 + 10
    assert policy.multiply_adds == choice
    each = [policy, agents.CentrePolicy()]
    paper, free = (gf_env.evaluate(one, **tiny, num_images=2).multiply_adds for one in each)
    assert (paper - free).tolist() == [0, choice, 2 * choice, 3 * choice, 4 * choice]


def test_policies_are_called_as_sb3s_are(tiny):
    policy = Recorder(state=7)
    policy.observe = ("step", "glance")
    gf_env.evaluate(policy, **tiny, num_images=3, deterministic=False)
    observations, states, starts, deterministic = zip(*policy.calls, strict=True)
    keys = {"features", "hidden_state", "step", "glance"}
    assert [set(each) for each in observations] == [keys] * 4
    assert states == (None, 7, 7, 7)
    assert [each.tolist() for each in starts] == [[True] * 3] + [[False] * 3] * 3
    assert set(deterministic) == {False}


def test_grid_policies(tiny):
    done = gf_env.evaluate(LastPatch(), **tiny, grid_size=3)
    assert np.unique(done.locations).tolist() == [1.0]


class StopsInTurn:
    """Looks at the corners; episode i of a batch stops instead of look 2 + i % 5, if there is one.

    With `grid_size` its actions are numbers of patches.
    """

    stop = True
    multiply_adds = ChoiceCost(100, 20, 3)

    def __init__(self, grid_size=None):
        self.grid_size = grid_size

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        count, look = len(observation["features"]), 0 if state is None else state
        ends = np.arange(count) % 5 == look
        if self.grid_size is not None:
            return np.where(ends, self.grid_size**2, look % self.grid_size**2), look + 1
        corner = [(-1, -1), (-1, 1), (1, -1), (1, 1)][look]
        actions = np.column_stack([np.tile(corner, (count, 1)), np.where(ends, 1, -1)])
        return actions.astype(np.float32), look + 1


@pytest.mark.parametrize("grid_size", [None, 2])
def test_episodes_that_policies_stop(tiny, grid_size):
    policy, price = StopsInTurn(grid_size), 0.125
    done = gf_env.evaluate(policy, **tiny, look_cost=price)
    looks = np.arange(20) % 5 + 1  # the fifth goes on to the end
    assert done.looks.tolist() == looks.tolist()
    assert done.stopped.tolist() == (looks < 5).tolist()
    full = gf_env.evaluate(agents.SequencePolicy([(-1, -1), (-1, 1), (1, -1), (1, 1)]), **tiny)
    for row, taken in enumerate(looks):
        for name in ("confidence", "max_probability", "correct"):
            found, expected = (getattr(each, name)[row] for each in (done, full))
            np.testing.assert_allclose(found[:taken], expected[:taken], atol=1e-5)
            assert set(found[taken:]) <= {found[taken - 1]}
        # a grid's corners are moved by a rounding error
        np.testing.assert_allclose(
            done.locations[row, : taken - 1], full.locations[row, : taken - 1], atol=1e-6
        )
        assert np.all(done.locations[row, taken - 1 :] == 0.5)
    gains = done.confidence[:, -1] - done.confidence[:, 0]
    np.testing.assert_allclose(done.gains, gains, atol=1e-5)
    np.testing.assert_allclose(done.returns, gains - price * (looks - 1), atol=1e-5)
    assert not done.returns[looks == 1].any()
    choices = np.array([0, 100, 120, 140, 160])
    assert done.multiply_adds.tolist() == (full.multiply_adds + choices).tolist()
    spent = done.multiply_adds[looks - 1] + np.where(looks < 5, 3, 0)
    assert done.spent.tolist() == spent.tolist()
    assert done.mean_looks == 3
    assert done.mean_gain == pytest.approx(gains.mean(), abs=1e-6)
    assert done.mean_return == pytest.approx(done.mean_gain - price * 2, abs=1e-6)
    assert done.mean_multiply_adds == pytest.approx(spent.mean())


def test_policies_that_cannot_stop_take_all_looks(tiny):
    done = gf_env.evaluate(agents.CentrePolicy(), **tiny, look_cost=0.5)
    free = gf_env.evaluate(agents.CentrePolicy(), **tiny)
    assert done.looks.tolist() == [5] * 20
    assert not done.stopped.any()
    assert done.spent.tolist() == [done.multiply_adds[-1]] * 20
    assert np.array_equal(done.gains, free.gains)
    np.testing.assert_allclose(done.returns, free.returns - 0.5 * 4, atol=1e-5)
    assert np.array_equal(free.returns, free.gains)


@pytest.mark.parametrize(
    "policy",
    [
        StopsInTurn(),
        agents.GreedyOracle(2, stop=True),
        SimpleNamespace(predict=print, action_space=gym.spaces.Box(-1, 1, (3,))),
    ],
)
def test_a_policy_that_stops_needs_a_task_that_can(tiny, policy):
    with pytest.raises(ValueError, match=r"one of the actions of \w+ stops.* leave out stop=False"):
        gf_env.evaluate(policy, **tiny, stop=False)


@pytest.mark.parametrize("stop", [False, None, True])
def test_stop_follows_from_the_policy(tiny, stop):
    """One that cannot stop is judged all the same by the arguments of those that can."""
    given = tiny if stop is None else {**tiny, "stop": stop}
    assert not gf_env.evaluate(agents.CentrePolicy(), **given).stopped.any()


def test_progress_and_parts(tiny):
    seen = []
    arguments = {"num_images": 12, "batch_size": 5, "progress": lambda *done: seen.append(done)}
    gf_env.evaluate(agents.CentrePolicy(), **tiny, **arguments)
    assert seen == [(5, 12), (10, 12), (12, 12)]


@pytest.mark.parametrize(
    "actions", [np.zeros((3, 3)), np.full((4, 2), np.nan), np.array(["a"] * 4)]
)
def test_bad_actions(tiny, actions):
    with pytest.raises(ValueError, match=r"shape \(4, 2\), got|NaN"):
        gf_env.evaluate(Recorder(actions), **tiny, num_images=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observe": ("step",)}, "no observe: the policy says"),
        ({"exit_thresholds": [0] * 5}, "no exit_thresholds: .* full length"),
        ({"split": "nowhere"}, "unknown split 'nowhere'"),
        ({"look_cost": -1.0}, "look_cost must be greater than or equal to 0"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        gf_env.evaluate(agents.CentrePolicy(), **arguments)
    with pytest.raises(TypeError, match="unexpected keyword argument 'patch'"):
        gf_env.evaluate(agents.CentrePolicy(), patch=3)


def test_no_policy_and_bad_counts(tiny):
    with pytest.raises(TypeError, match="is no policy"):
        gf_env.evaluate(object(), **tiny)
    for count in (0, 21):
        with pytest.raises(ValueError, match="from 1 to 20"):
            gf_env.evaluate(agents.CentrePolicy(), **tiny, num_images=count)
