import numpy as np
import pytest

import agents
import gf_env
from gf_env import policy
from tests.helpers.policies import LastPatch, Recorder


def test_figures_are_those_of_single_episodes(tiny_network, tiny_dataset):
    import gymnasium as gym

    done = gf_env.evaluate(
        agents.CentreCornerPolicy(), network=tiny_network, dataset=tiny_dataset, batch_size=7
    )
    env = gym.make("GlanceFocus-v0", network=tiny_network, dataset=tiny_dataset)
    actions = np.float32([(0, 0), (-1, -1), (-1, 1), (1, -1)])
    for index in range(len(tiny_dataset)):
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


def test_the_policys_multiply_adds_count(tiny_network, tiny_dataset):
    network = agents.PatchProposalNetwork(agents.PatchProposalConfig((128, 1, 1), hidden_size=10))
    policy = agents.PaperPolicy(network)
    # convolution, linear layer, the GRU's six gates, actor and critic
    choice = 128 * 32 + 32 * 10 + 6 * 10 * 10 + 10 * 2 + 10
    assert policy.multiply_adds == choice
    arguments = {"network": tiny_network, "dataset": tiny_dataset, "num_images": 2}
    paper = gf_env.evaluate(policy, **arguments).multiply_adds
    free = gf_env.evaluate(agents.CentrePolicy(), **arguments).multiply_adds
    assert (paper - free).tolist() == [0, choice, 2 * choice, 3 * choice, 4 * choice]


def test_policies_are_called_as_sb3s_are(tiny_network, tiny_dataset):
    policy = Recorder(state=7)
    policy.observe = ("step", "glance")
    gf_env.evaluate(
        policy, network=tiny_network, dataset=tiny_dataset, num_images=3, deterministic=False
    )
    observations, states, starts, deterministic = zip(*policy.calls, strict=True)
    assert [set(each) for each in observations] == [
        {"features", "hidden_state", "step", "glance"}
    ] * 4
    assert states == (None, 7, 7, 7)
    assert [each.tolist() for each in starts] == [[True] * 3] + [[False] * 3] * 3
    assert set(deterministic) == {False}


def test_grid_policies(tiny_network, tiny_dataset):
    done = gf_env.evaluate(LastPatch(), network=tiny_network, dataset=tiny_dataset, grid_size=3)
    assert np.unique(done.locations).tolist() == [1.0]


def test_progress_and_parts(tiny_network, tiny_dataset):
    seen = []
    gf_env.evaluate(
        agents.CentrePolicy(),
        network=tiny_network,
        dataset=tiny_dataset,
        num_images=12,
        batch_size=5,
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(5, 12), (10, 12), (12, 12)]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((3, 3)), r"shape \(4, 2\), got shape \(3, 3\)"),
        (np.full((4, 2), np.nan), "NaN"),
        (np.array(["a"] * 4), "shape"),
    ],
)
def test_bad_actions(tiny_network, tiny_dataset, actions, message):
    with pytest.raises(ValueError, match=message):
        gf_env.evaluate(Recorder(actions), network=tiny_network, dataset=tiny_dataset, num_images=4)


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


def test_no_policy_and_bad_counts(tiny_network, tiny_dataset):
    with pytest.raises(TypeError, match="is no policy"):
        gf_env.evaluate(object(), network=tiny_network, dataset=tiny_dataset)
    for count in (0, 21):
        with pytest.raises(ValueError, match="from 1 to 20"):
            gf_env.evaluate(
                agents.CentrePolicy(), network=tiny_network, dataset=tiny_dataset, num_images=count
            )


def test_protocols_tell_policies_apart():
    assert not isinstance(object(), policy.Policy)
    assert not isinstance(agents.GreedyOracle(), policy.Policy)
