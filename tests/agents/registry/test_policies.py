import dataclasses
import json

import numpy as np
import pytest
import torch

import agents
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.files import load_policy
from agents.registry.learners import LEARNERS, get_learner, make_config
from agents.registry.policies import BOUNDS, RULES, make_policy
from gf_env.import_paths import call_with, is_module_path, load_object
from gf_env.storage.tensors import TensorFileError


@pytest.mark.parametrize("name", [*RULES, *BOUNDS])
def test_every_rule_and_bound_by_name(name, network):
    policy = make_policy(name, network=network, seed=1)
    assert isinstance(policy, PrivilegedPolicy if name in BOUNDS else Policy)


def test_settings_and_seeds_are_passed_on(network):
    seen = {"hidden_state": np.zeros((5, 3), np.float32)}
    actions = [
        make_policy("gaussian", network=network, seed=seed, settings={"std": 0.1}).predict(seen)[0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(actions[0], actions[1])
    assert not np.array_equal(actions[0], actions[2])
    assert np.abs(actions[0]).max() < 0.5
    with pytest.raises(ValueError, match=r"GaussianPolicy.*cannot be called with.*'width'"):
        make_policy("gaussian", network=network, settings={"width": 1})


def test_a_policy_of_ones_own(network, tmp_path, monkeypatch):
    """Modules are found in the working folder, too."""
    module = "from agents import CentrePolicy\npolicy = CentrePolicy()\n"
    (tmp_path / "only_here_for_a_test.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    for name in ("agents.policies.rules:CentrePolicy", "only_here_for_a_test:policy"):
        assert isinstance(make_policy(name, network=network), agents.CentrePolicy)
    seeded = make_policy("tests.helpers.odd_policies:Sideways", network=network, seed=5)
    assert seeded._action[0] == 0.5


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (
            "tests.helpers.odd_policies:Missing",
            ValueError,
            "'tests.helpers.odd_policies' has no 'Missing'; it has .*Sideways",
        ),
        ("no_such_module:Policy", ValueError, "cannot import 'no_such_module'.*ModuleNotFound"),
        ("tests.helpers.odd_policies:NO_POLICY", TypeError, "gave int, which is no policy"),
        ("nowhere.safetensors", ValueError, "neither a file nor a built-in name"),
    ],
)
def test_names_that_lead_nowhere(name, error, message, network):
    with pytest.raises(error, match=message):
        make_policy(name, network=network)


def test_policies_are_opened_by_what_their_file_holds(network, tmp_path):
    config = agents.RecurrentPolicyConfig({"step": (1,)}, hidden_size=4)
    with torch.random.fork_rng():
        made = agents.RecurrentPolicy(agents.RecurrentPolicyNetwork(config))
    made.save(tmp_path / "policy.safetensors")
    assert isinstance(load_policy(tmp_path / "policy.safetensors"), agents.RecurrentPolicy)
    assert isinstance(load_policy("cluttered-digits"), agents.PaperPolicy)
    network.save(tmp_path / "network.safetensors")
    with pytest.raises(TensorFileError, match=r"to hold a policy, found 'gf_env"):
        load_policy(tmp_path / "network.safetensors")
    with pytest.raises(ValueError, match="takes no settings"):
        make_policy("cluttered-digits", network=network, settings={"std": 1})


def test_what_looks_like_a_module():
    others = ("a.safetensors", "C:\\policy.zip", "a:B.zip", ":B", "a:")
    assert [*filter(is_module_path, ("a:B", "a.b.c:D", *others))] == ["a:B", "a.b.c:D"]


def test_what_is_offered_is_passed_where_it_is_wanted():
    def wants(seed, *, network=None, size=2):
        return seed, network, size

    offered = {"seed": 1, "network": "n", "other": 0}
    assert call_with(wants, {"size": 3}, offered) == (1, "n", 3)
    assert call_with(wants, {"seed": 9}, offered) == (9, "n", 2)
    assert call_with(lambda **words: words, {}, offered) == offered


def test_a_module_that_raises_is_told_of(tmp_path, monkeypatch):
    (tmp_path / "raises_for_a_test.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        load_object("raises_for_a_test:Policy")


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_has_settings(name):
    learner = get_learner(name)
    config = make_config(learner, name, {}, seed=3)
    assert config.seed == 3
    described = json.loads(json.dumps(dataclasses.asdict(config)))
    assert type(config)(**described) == config
    for wrong in ({"colour": 1}, {"seed": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make_config(learner, name, wrong, seed=3)
