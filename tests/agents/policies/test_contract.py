"""What every policy keeps to."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import agents
from agents.policies.belief_search import BeliefConfig
from agents.registry.files import load_policy
from gf_env.envs.make_task import make_task
from gf_env.policy import stops
from gf_env.storage.tensors import TensorFileError, save_tensors
from tests.agents.policies.made import (
    BELIEF,
    MAP,
    MAPPED,
    NETWORKS,
    RANDOM_RULES,
    RULES,
    SHAPES,
    map_policy,
    observe,
    observe_for,
    recurrent_policy,
)

POLICIES = {**RULES, **NETWORKS}
SEEDED = (*RANDOM_RULES, *NETWORKS)
WITHOUT_MEMORY = ("random", "gaussian")
MAY_CHOOSE_ALIKE = ("recurrent-grid", "recurrent-grid-stop", "map", "map-components-query-stop")
ALWAYS_THE_SAME = ("centre", "recurrent-without-gru")


@pytest.mark.parametrize("name", POLICIES)
def test_policies_see_no_labels(name):
    policy = POLICIES[name]()
    assert isinstance(policy, agents.Policy)
    assert not isinstance(policy, agents.PrivilegedPolicy)


@pytest.mark.parametrize("make", [agents.GreedyOracle, agents.BeamSearchOracle])
def test_oracles_choose_looks(make, tiny_network, tiny_dataset):
    oracle = make(3)
    assert isinstance(oracle, agents.PrivilegedPolicy)
    assert not isinstance(oracle, agents.Policy)
    task = make_task(network=tiny_network, dataset=tiny_dataset)
    locations = oracle.choose_looks(task, task.start(np.arange(5))).locations
    assert (locations.shape, locations.dtype) == ((5, 2), torch.float32)
    assert 0 <= locations.min() <= locations.max() <= 1


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("name", POLICIES)
def test_actions_and_state(name, deterministic):
    policy, count = POLICIES[name](), 200
    actions, state = policy.predict(observe_for(name, count), deterministic=deterministic)
    grid_size = getattr(policy, "grid_size", None)
    if grid_size is None:
        assert (actions.shape, actions.dtype) == ((count, 2 + stops(policy)), np.float32)
        assert -1 <= actions.min() <= actions.max() <= 1
    else:
        assert (actions.shape, actions.dtype) == ((count,), np.int64)
        assert 0 <= actions.min() <= actions.max() < grid_size**2 + stops(policy)
    assert (state is None) == (name in WITHOUT_MEMORY)
    assert state is None or len(state) == count


@pytest.mark.parametrize("name", [name for name in POLICIES if name not in RANDOM_RULES])
def test_the_state_of_episodes_that_start_is_cleared(name):
    policy, seen = POLICIES[name](), observe_for(name, 2)
    fresh, state = policy.predict(seen, None, np.ones(2, bool), deterministic=True)
    unsaid, _ = policy.predict(seen, deterministic=True)
    assert np.array_equal(unsaid, fresh)  # without a state all episodes are new
    before = state.copy()
    mixed, after = policy.predict(seen, state, np.array([True, False]), deterministic=True)
    assert np.array_equal(state, before)  # what was handed in stays
    assert np.allclose(mixed[0], fresh[0], atol=1e-6)
    assert np.allclose(after[0], state[0], atol=1e-6)
    on, after_on = policy.predict(seen, state, None, deterministic=True)
    assert np.allclose(on[1], mixed[1], atol=1e-6)
    if name == "recurrent-without-gru":
        assert state.shape == (2, 0)
    else:
        assert not np.allclose(after_on, state, atol=1e-6)
    if name not in MAY_CHOOSE_ALIKE:
        same = np.allclose(mixed[1], fresh[1], atol=1e-6)
        assert same == (name in ALWAYS_THE_SAME)


@pytest.mark.parametrize("name", SEEDED)
def test_samples_repeat_with_the_seed(name):
    seen = observe(500)
    actions, again, other = (POLICIES[name](seed=seed).predict(seen)[0] for seed in (0, 0, 1))
    assert np.array_equal(actions, again)
    assert not np.array_equal(actions, other)


@pytest.mark.parametrize("name", POLICIES)
def test_unbatched_observations_are_refused(name):
    single = {key: value[0] for key, value in observe_for(name, 1).items()}
    explained = r"this policy sees .* of shape" if name in NETWORKS else r"batched.*value\[None\]"
    with pytest.raises(ValueError, match=explained):
        POLICIES[name]().predict(single)


@pytest.mark.parametrize("name", NETWORKS)
def test_observations_that_do_not_fit_are_refused(name):
    policy, seen = NETWORKS[name](), observe(2)
    other = {**seen, "features": np.zeros((2, 4, 3, 3), np.float32)}
    with pytest.raises(ValueError, match=r"features.*\(n, 4, 2, 2\), got \(2, 4, 3, 3\)"):
        policy.predict(other)
    for missing in policy.shapes:
        with pytest.raises(ValueError, match=rf"sees '{missing}', which.*observe=\("):
            policy.predict({key: value for key, value in seen.items() if key != missing})


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_policy_is_the_same(name, tmp_path):
    policy, seen = NETWORKS[name](), observe(3)
    policy.save(tmp_path / "policy.safetensors")
    loaded = type(policy).load(tmp_path / "policy.safetensors")
    assert loaded.network.config == policy.network.config
    assert (loaded.observe, loaded.grid_size) == (policy.observe, policy.grid_size)
    assert loaded.stop is policy.stop is name.endswith("stop")
    for deterministic in (True, False):
        expected = policy.predict(seen, deterministic=deterministic)
        found = loaded.predict(seen, deterministic=deterministic)
        assert all(map(np.array_equal, found, expected))
    assert type(load_policy(tmp_path / "policy.safetensors")) is type(policy)


@pytest.mark.parametrize("name", ["paper", "recurrent", "belief", "map"])
def test_a_damaged_file_or_another_policy_is_refused(name, tmp_path):
    path, policy = tmp_path / "policy.safetensors", NETWORKS[name]()
    policy.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(TensorFileError, match="checksum"):
        policy.load(path)
    path.write_bytes(whole[:100])
    with pytest.raises(TensorFileError, match="damaged"):
        policy.load(path)
    other = NETWORKS["paper" if name == "recurrent" else "recurrent"]()
    other.save(path)
    with pytest.raises(TensorFileError, match=rf"{policy.file_kind}.*{other.file_kind}"):
        policy.load(path)
    save_tensors(path, policy.file_kind, {"width": 3}, {"weight": torch.zeros(1)})
    with pytest.raises(TensorFileError, match=r"a configuration that cannot be: .*width"):
        policy.load(path)
    with pytest.raises(ValueError, match="neither a file nor a built-in name"):
        policy.load("nowhere")


@pytest.mark.parametrize("name", NETWORKS)
def test_policies_are_in_eval_mode(name):
    policy = NETWORKS[name]()
    assert not type(policy)(policy.network.train()).network.training


# a window of 5 x 5 places around a look, its worth; a query and what it makes of nine keys
MAP_LATER, QUERY = (16 + 6) * 16 + 16 * 25 + 16 * 2, (6 + 3) * 2 + 9 * 2
CONVOLUTION, GRU, HEADS = 4 * 32 * 4, 2 * 3 * 16 * 16, 16 * 2 + 16


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (NETWORKS["paper"](), 16 * 16 + 16 * 8 + 2 * 3 * 8 * 8 + 8 * 3),
        (recurrent_policy(), CONVOLUTION + (32 * 4 + 6 + 6) * 16 + GRU + HEADS),
        (recurrent_policy(stop=True), CONVOLUTION + (32 * 4 + 6 + 6) * 16 + GRU + HEADS + 16),
        (recurrent_policy(recurrent=False), CONVOLUTION + (32 * 4 + 6 + 6) * 16 + 16 * 16 + HEADS),
        (recurrent_policy(feature_channels=0), (4 * 4 + 6 + 6) * 16 + GRU + HEADS),
        # from the glance, from a look's features (6 x 6 places around it), and choosing
        (map_policy(), (16 * 8 + 8 * 9 + 8 * 2, MAP_LATER, 0)),
        (
            map_policy(components=5),
            (16 * 5 + 5 * 8 + 8 * 9 + 8 * 2, MAP_LATER + 16 * 5 - 11 * 16, 0),
        ),
        (
            map_policy(query_size=2, stop=True),
            (16 * 8 + 8 * 9 + 8 * 2 + 8 * 18 + QUERY, MAP_LATER + QUERY, MAP_LATER + QUERY),
        ),
        (NETWORKS["belief"](), (16 * 8 + 8 * 16 + 16 * 9, 16 * 16 + 16 * 36 + 16 * 9, 0)),
    ],
    ids=[
        "paper",
        "recurrent",
        "stop",
        "without-gru",
        "feature-maps-as-they-are",
        "map",
        "map-components",
        "map-query-stop",
        "belief",
    ],
)
def test_multiply_adds_by_hand(policy, expected):
    assert policy.multiply_adds == expected


PAPER_ARGUMENTS = {"feature_shape": (4, 2, 2)}
RECURRENT_ARGUMENTS = {"shapes": SHAPES}
BELIEF_ARGUMENTS = dataclasses.asdict(BELIEF)


@pytest.mark.parametrize(
    ("config", "arguments", "changes", "message"),
    [
        *(
            (agents.PatchProposalConfig, PAPER_ARGUMENTS, changes, message)
            for changes, message in [
                ({"state_encoder": "vit"}, "conv.*flat"),
                ({"feature_shape": (4, 2)}, "feature_shape"),
                ({"feature_shape": (4, 2, 0)}, "feature_shape.2 must be greater than 0"),
                ({"action_std": 0.0}, "action_std"),
                ({"hidden_size": 0}, "hidden_size"),
            ]
        ),
        *(
            (agents.RecurrentPolicyConfig, RECURRENT_ARGUMENTS, changes, message)
            for changes, message in [
                ({"shapes": {}}, "sees takes"),
                ({"shapes": {"label": (1,)}}, "sees takes.*label"),
                ({"shapes": {"features": (4, 0, 2)}}, "shapes.features.1 must be greater than 0"),
                ({"shapes": {"features": ()}}, "shapes must have axes.*features"),
                ({"grid_size": 0}, "grid_size"),
                ({"hidden_size": 0}, "hidden_size"),
                ({"std": 0.0}, "std"),
                ({"std": math.nan}, "std"),
                ({"std": math.inf}, "std"),
                ({"feature_channels": -1}, "feature_channels"),
                ({"map_channels": -1}, "map_channels"),
                ({"map_channels": 1, "shapes": MAPPED}, "map_channels.*on a grid"),
                ({"map_channels": 1, "grid_size": 3}, "map_channels.*locations and step"),
                ({"repeats": False, "grid_size": 3}, "repeats=False needs a map.*got 0"),
            ]
        ),
        *(
            (BeliefConfig, BELIEF_ARGUMENTS, changes, message)
            for changes, message in [
                ({"places": 0}, "places must be greater than 0"),
                ({"margin": 0.5}, "margin must be less than 0.5"),
                ({"dropout": 1.0}, "dropout must be less than 1"),
                ({"reach": -1.0}, "reach must be greater than or equal to 0"),
                ({"evidence_size": -1}, "evidence_size must be greater than or equal to 0"),
                ({"grid_size": 2, "margin": 0.4}, "places uncovered"),
                ({"places": 5000}, "pairs, of at most"),
            ]
        ),
        *(
            (agents.MapConfig, MAP, changes, message)
            for changes, message in [
                ({"feature_shape": (4, 2)}, "feature_shape"),
                ({"state_size": 0}, "state_size"),
                ({"decisions": 0}, "decisions"),
                ({"grid_size": None}, "grid_size"),
                ({"hidden_size": 0}, "hidden_size"),
                ({"evidence_size": 0}, "evidence_size"),
                ({"query_size": -1}, "query_size"),
                ({"components": -1}, "components"),
                ({"dropout": 1.0}, "dropout must be less than 1"),
            ]
        ),
    ],
)
def test_impossible_networks(config, arguments, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: agents.GaussianPolicy(std=0), "std"),
        (lambda: agents.SequencePolicy(np.zeros((0, 2))), r"shape \(k, 2\)"),
        (lambda: agents.RasterPolicy(0), "grid_size"),
        (lambda: agents.NoRepeatRandomPolicy(0), "grid_size"),
        (lambda: agents.BeamSearchOracle(width=0), "width"),
    ],
)
def test_impossible_rules(make, message):
    with pytest.raises(ValueError, match=message):
        make()
