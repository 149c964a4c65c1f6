"""Rules on when to stop, around policies that only say where to look."""

import numpy as np
import pytest
import torch

import agents
import gf_env
from agents.policies.learned_stopping import StopConfig, StopNetwork
from agents.registry.files import load_policy
from gf_env.envs.make_task import make_task
from gf_env.policy import choice_cost, observed_by
from gf_env.storage.tensors import TensorFileError
from tests.agents.policies.made import NETWORKS, observe, seeded
from tests.helpers.policies import Recorder

INF = float("inf")
STOP = np.array([0, 0, 1], np.float32)


def stop_network(bias=None, decisions=4, **changes):
    """One that sees the classifier's state; with a bias it expects that of every episode."""
    network = seeded(lambda: StopNetwork(StopConfig({"hidden_state": (6,)}, decisions, **changes)))
    if bias is not None:
        for layers in network.after_look:
            layers[-1].weight.data.zero_()
            layers[-1].bias.data.fill_(bias)
    return network


WHERE = [name for name, make in NETWORKS.items() if not make().stop]
"""Policies that only say where to look."""
RULES = {
    "sure": lambda policy: agents.StopWhenSure(policy, 0.7),
    "sure, look by look": lambda policy: agents.StopWhenSure(policy, [0.9, 0.5, 0.7, INF]),
    "learned": lambda policy: agents.LearnedStopping(policy, stop_network()),
}


def shown(count, seed=0):
    """What all these policies see, of episodes of which some are sure."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((0.3,) * 3, count).astype(np.float32)
    steps = rng.integers(1, 5, (count, 1)).astype(np.float32)
    return {**observe(count, seed), "probabilities": probabilities, "step": steps}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", WHERE)
def test_it_stops_or_looks_where_the_policy_looks(rule, name):
    inner, stopping = NETWORKS[name](), RULES[rule](NETWORKS[name]())
    assert isinstance(stopping, agents.Policy)
    assert stopping.stop
    assert stopping.grid_size == inner.grid_size
    assert {*inner.observe} <= {*stopping.observe}
    seen = shown(50)
    looks, memory = inner.predict(seen, deterministic=True)
    actions, state = stopping.predict(seen, deterministic=True)
    ends = stopping.stops(seen)
    assert 0 < ends.sum() < 50
    if inner.grid_size is None:
        assert (actions.shape, actions.dtype) == ((50, 3), np.float32)
        assert (actions[ends] == STOP).all()
        np.testing.assert_allclose(actions[~ends, :2], looks[~ends], atol=1e-6)
        assert (actions[~ends, 2] == -1).all()
    else:
        assert (actions.shape, actions.dtype) == ((50,), np.int64)
        assert (actions[ends] == 9).all()
        assert np.array_equal(actions[~ends], looks[~ends])
    np.testing.assert_allclose(state[~ends], memory[~ends], atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", WHERE)
def test_a_saved_one_is_the_same(rule, name, tmp_path):
    policy, seen = RULES[rule](NETWORKS[name]()), shown(20)
    path = tmp_path / "policy.safetensors"
    policy.save(path)
    for loaded in (type(policy).load(path), load_policy(path)):
        assert type(loaded) is type(policy)
        assert type(loaded.policy) is type(policy.policy)
        assert loaded.observe == policy.observe
        assert np.array_equal(loaded.predict(seen)[0], policy.predict(seen)[0])
        assert loaded.multiply_adds == policy.multiply_adds
        policy = RULES[rule](NETWORKS[name]())  # its generator has drawn


def test_only_episodes_that_go_on_are_asked_about():
    inner = Recorder(actions=np.full((1, 2), 0.5, np.float32), state=np.ones((1, 2)))
    policy = agents.StopWhenSure(inner, 0.7)
    seen = {**shown(3), "probabilities": np.float32([[1, 0], [0.5, 0.5], [0.8, 0.2]])}
    starts = np.array([True, False, True])
    actions, state = policy.predict(seen, np.arange(6).reshape(3, 2), starts)
    (part, memory, start, _) = inner.calls[0]
    assert np.array_equal(part["features"], seen["features"][1:2])
    assert memory.tolist() == [[2, 3]]
    assert start.tolist() == [False]
    assert actions.tolist() == [[0, 0, 1], [0.5, 0.5, -1], [0, 0, 1]]
    assert state.tolist() == [[0, 0], [1, 1], [0, 0]]
    everyone = {**seen, "probabilities": np.float32([[1, 0]] * 3)}
    assert (policy.predict(everyone)[0] == STOP).all()
    assert len(inner.calls) == 1


def test_thresholds_of_their_looks():
    policy = agents.StopWhenSure(agents.CentrePolicy(), [0.75, 0.5])
    steps = np.float32([[1], [2], [3], [1]])
    probabilities = np.float32([[0.7, 0.3], [0.5, 0.5], [0.4, 0.6], [0.1, 0.75]])
    seen = {"hidden_state": np.zeros((4, 1)), "probabilities": probabilities, "step": steps}
    # the last threshold is that of later looks too
    assert policy.stops(seen).tolist() == [False, True, True, True]
    assert observed_by(policy) == ("probabilities", "step")
    assert observed_by(agents.StopWhenSure(agents.CentrePolicy(), 0.5)) == ("probabilities",)


@pytest.mark.parametrize(("threshold", "looks"), [(0.0, 1), (INF, 5), ([INF, INF, 0.0], 3)])
@pytest.mark.parametrize("make", [agents.CentrePolicy, agents.NoRepeatRandomPolicy])
def test_rules_around_rules(tiny, threshold, looks, make):
    found = gf_env.evaluate(agents.StopWhenSure(make(), threshold), **tiny)
    assert found.looks.tolist() == [looks] * 20
    assert found.stopped.tolist() == [looks < 5] * 20


@pytest.mark.parametrize(("bias", "looks"), [(-0.1, 1), (0.0, 1), (0.1, 5)])
def test_a_look_must_be_worth_its_cost(tiny, bias, looks):
    # two decisions were learned; the others are as the last of them
    policy = agents.LearnedStopping(agents.CentrePolicy(), stop_network(bias, decisions=2))
    assert gf_env.evaluate(policy, **tiny).looks.tolist() == [looks] * 20


def test_what_choices_cost():
    inner = NETWORKS["belief"]()
    first, later, _ = choice_cost(inner)
    assert choice_cost(agents.StopWhenSure(inner, 0.5)) == (first, later, 0)
    rule = 6 * 64 + 64 * 64 + 64
    learned = agents.LearnedStopping(inner, stop_network())
    assert choice_cost(learned) == (first + rule, later + rule, rule)


def test_an_actions_meaning_survives_the_environment(tiny):
    policy = agents.StopWhenSure(agents.CentrePolicy(), 0.0)
    task = make_task(**tiny, stop=True, observe=policy.observe)
    state = task.start(np.arange(3))
    look = task.actions.decode(policy.predict(task.observation(state))[0], 3)
    assert look.stop.tolist() == [True] * 3
    assert torch.equal(look.locations, torch.full((3, 2), 0.5))


def test_what_it_cannot_be_made_of(tmp_path):
    sure = agents.StopWhenSure(agents.CentrePolicy(), 0.5)
    for wrong in (-0.1, float("nan"), [], [[0.5]], [0.5, -1]):
        with pytest.raises(ValueError, match="threshold is a probability"):
            agents.StopWhenSure(agents.CentrePolicy(), wrong)
    with pytest.raises(ValueError, match="StopWhenSure already stops"):
        agents.StopWhenSure(sure, 0.5)
    for other in (object(), agents.GreedyOracle()):
        with pytest.raises(TypeError, match="is no policy"):
            agents.StopWhenSure(other, 0.5)
    with pytest.raises(ValueError, match=r"'probabilities', which.*observe="):
        sure.predict(observe(2))
    with pytest.raises(ValueError, match=r"can be saved, got CentrePolicy"):
        sure.save(tmp_path / "policy.safetensors")


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "policy.safetensors"
    NETWORKS["belief"]().save(path)
    with pytest.raises(TensorFileError, match=r"StopWhenSure\.v1.*BeliefPolicy\.v1"):
        agents.StopWhenSure.load(path)
