import gymnasium as gym
import numpy as np
import pytest

import agents
import gf_env
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
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        gf_env.evaluate(agents.CentrePolicy(), **arguments)
    with pytest.raises(TypeError, match=r"unexpected arguments \['patch'\]"):
        gf_env.evaluate(agents.CentrePolicy(), patch=3)


def test_no_policy_and_bad_counts(tiny):
    with pytest.raises(TypeError, match="is no policy"):
        gf_env.evaluate(object(), **tiny)
    for count in (0, 21):
        with pytest.raises(ValueError, match="from 1 to 20"):
            gf_env.evaluate(agents.CentrePolicy(), **tiny, num_images=count)
