import numpy as np
import pytest
import torch

import agents
from agents.policies.base import Policy, PrivilegedPolicy
from agents.registry.files import open_policy
from agents.registry.import_paths import call_with, is_module_path, load_object
from agents.registry.learners import LEARNERS, get_learner, make_config
from agents.registry.policies import BOUNDS, RULES, make_policy
from gf_env.network.glance_focus_net import load_network
from gf_env.storage.tensors import TensorFileError


@pytest.fixture(scope="module")
def network():
    return load_network("cluttered-digits")


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


def test_a_policy_of_ones_own(network):
    assert (
        make_policy("tests.helpers.odd_policies:Sideways", network=network, seed=5)._action[0]
        == 0.5
    )
    made = make_policy("agents.policies.rules:CentrePolicy", network=network)
    assert isinstance(made, agents.CentrePolicy)


def test_modules_are_found_in_the_working_folder(network, tmp_path, monkeypatch):
    (tmp_path / "only_here_for_a_test.py").write_text(
        "from agents import CentrePolicy\npolicy = CentrePolicy()\n"
    )
    monkeypatch.chdir(tmp_path)
    made = make_policy("only_here_for_a_test:policy", network=network)
    assert isinstance(made, agents.CentrePolicy)


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


def test_files_take_no_settings(network):
    with pytest.raises(ValueError, match="takes no settings"):
        make_policy("cluttered-digits", network=network, settings={"std": 1})


def test_policies_are_opened_by_what_their_file_holds(tmp_path):
    config = agents.RecurrentPolicyConfig({"step": (1,)}, hidden_size=4)
    with torch.random.fork_rng():
        made = agents.RecurrentPolicy(agents.RecurrentPolicyNetwork(config))
    made.save(tmp_path / "policy.safetensors")
    assert isinstance(open_policy(tmp_path / "policy.safetensors"), agents.RecurrentPolicy)
    assert isinstance(open_policy("cluttered-digits"), agents.PaperPolicy)


def test_a_network_is_no_policy(tiny_network, tmp_path):
    tiny_network.save(tmp_path / "network.safetensors")
    with pytest.raises(TensorFileError, match=r"to hold a policy, found 'gf_env"):
        open_policy(tmp_path / "network.safetensors")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("a:B", True),
        ("a.b.c:D", True),
        ("a.safetensors", False),
        ("C:\\policy.zip", False),
        ("a:B.zip", False),
        (":B", False),
        ("a:", False),
    ],
)
def test_what_looks_like_a_module(name, is_one):
    assert is_module_path(name) == is_one


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
    assert make_config(learner, name, {}, seed=3).seed == 3
    with pytest.raises(ValueError, match="colour"):
        make_config(learner, name, {"colour": 1}, seed=3)


def test_lists_become_tuples():
    config = make_config(get_learner("reinforce"), "reinforce", {"sees": ["step"]}, seed=0)
    assert config.sees == ("step",)
