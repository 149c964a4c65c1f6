import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal

import agents
from agents.policies.actors import GaussianActor, GridActor
from agents.policies.recurrent import RecurrentPolicy
from agents.policies.recurrent_network import LookMap, RecurrentPolicyConfig, RecurrentPolicyNetwork
from gf_env.geometry import Lattice, location_to_action
from gf_env.storage.tensors import TensorFileError

SHAPES = {"features": (4, 2, 2), "hidden_state": (6,), "locations": (3, 2)}


def new_policy(shapes=SHAPES, *, seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = RecurrentPolicyConfig(shapes, hidden_size=16, **settings)
        network = RecurrentPolicyNetwork(config)
        # heads begin small; here they are to make a difference
        torch.nn.init.normal_(network.actor.linear.weight)
    return RecurrentPolicy(network, seed)


def observe(count, shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.random((count, *shape), np.float32) for name, shape in shapes.items()}


@pytest.fixture
def gaussian():
    actor = GaussianActor(8, 0.3)
    with torch.no_grad():
        actor.log_std.copy_(torch.tensor([0.1, 0.5]).log())
    return actor


def test_density_and_entropy_of_the_gaussian_are_torchs(gaussian):
    mean, chosen = torch.rand(3, 5, 2), torch.randn(3, 5, 2)
    expected = Normal(mean, torch.tensor([0.1, 0.5]))
    found = gaussian.log_prob(mean, chosen)
    assert torch.allclose(found, expected.log_prob(chosen).sum(-1), atol=1e-4)
    assert torch.allclose(gaussian.entropy(mean), expected.entropy().sum(-1))


def test_samples_of_the_gaussian_are_not_clipped(gaussian):
    samples = gaussian.sample(torch.ones(20_000, 2), torch.Generator().manual_seed(0))
    assert samples.mean(0).tolist() == pytest.approx([1, 1], abs=0.02)
    assert samples.std(0).tolist() == pytest.approx([0.1, 0.5], rel=0.03)


def test_choices_on_a_grid_are_categorical():
    actor = GridActor(8, 9)
    torch.nn.init.normal_(actor.linear.weight)
    log_probs = actor(torch.randn(2, 8))
    expected = Categorical(logits=log_probs)
    chosen = torch.tensor([3, 8])
    assert torch.allclose(actor.log_prob(log_probs, chosen), expected.log_prob(chosen))
    assert torch.allclose(actor.entropy(log_probs), expected.entropy())
    many = log_probs[:1].expand(20_000, -1)
    samples = actor.sample(many, torch.Generator().manual_seed(0))
    shares = torch.bincount(samples, minlength=9) / 20_000
    assert torch.allclose(shares, log_probs[0].exp(), atol=0.012)
    assert torch.equal(actor.likeliest(log_probs), log_probs.argmax(-1))


def test_actors_begin_with_every_choice_open():
    thought = torch.randn(50, 16)
    assert (GaussianActor(16, 0.2)(thought) - 0.5).abs().max() < 0.05
    assert (GridActor(16, 9)(thought).exp() - 1 / 9).abs().max() < 0.02


MAPPED = {**SHAPES, "step": (1,)}
"""What a policy sees that draws a map."""


@pytest.mark.parametrize("map_channels", [0, 2])
@pytest.mark.parametrize("recurrent", [True, False])
def test_replay_is_step_after_step(recurrent, map_channels):
    settings = {"recurrent": recurrent, "map_channels": map_channels, "grid_size": 3}
    network = new_policy(MAPPED, **settings).network
    seen = {name: torch.rand(3, 5, *shape) for name, shape in MAPPED.items()}
    seen["step"] = torch.arange(1, 4)[:, None, None].expand(3, 5, 1).float()
    choices, values = network.replay(seen)
    memory = network.initial_state(5)
    for step in range(3):
        now = {name: value[step] for name, value in seen.items()}
        choice, value, memory = network(now, memory)
        assert torch.allclose(choices[step], choice, atol=1e-6)
        assert torch.allclose(values[step], value, atol=1e-6)


def test_only_what_is_seen_makes_a_difference():
    policy = new_policy({"hidden_state": (6,), "step": (1,)})
    assert policy.observe == ("step",)
    observation = {**observe(2), "step": np.ones((2, 1), np.float32)}
    actions, _ = policy.predict(observation, deterministic=True)
    blind = {**observation, "features": observation["features"] * 0}
    assert np.array_equal(policy.predict(blind, deterministic=True)[0], actions)
    later = {**observation, "step": observation["step"] * 3}
    assert not np.allclose(policy.predict(later, deterministic=True)[0], actions)


def test_memory_of_rows_that_start_is_cleared():
    policy, observation = new_policy(), observe(2)
    fresh, state = policy.predict(observation, None, np.ones(2, bool), deterministic=True)
    assert state.shape == (2, 16)
    mixed, _ = policy.predict(observation, state, np.array([True, False]), deterministic=True)
    assert np.allclose(mixed[0], fresh[0], atol=1e-6)
    assert not np.allclose(mixed[1], fresh[1], atol=1e-6)


def test_without_a_memory_nothing_is_remembered():
    policy, observation = new_policy(recurrent=False), observe(2)
    first, state = policy.predict(observation, deterministic=True)
    again, _ = policy.predict(observation, state, np.zeros(2, bool), deterministic=True)
    assert state.shape == (2, 0)
    assert np.array_equal(first, again)


def test_a_look_leaves_its_mark_at_its_place():
    drawing = LookMap(2, 3, 1)
    torch.nn.init.ones_(drawing.linear.weight)
    torch.nn.init.zeros_(drawing.linear.bias)
    known = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-3.0, -4.0]])
    # the looks so far; of the first only the glance, of the second one look, of the third two
    locations = torch.zeros(3, 2, 2)
    locations[1, 0] = torch.tensor([-1.0, 1.0])  # top right
    locations[2, 1] = torch.tensor([1.0, 0.0])  # the middle of the last row
    found = drawing(known, locations, torch.tensor([[1.0], [2.0], [3.0]])).view(3, 9, 2)
    expected = torch.zeros(3, 9, 2)
    expected[1, 2] = torch.tensor([1.0, 7.0])
    expected[2, 7] = torch.tensor([1.0, 0.0])
    assert torch.equal(found, expected)


@pytest.mark.parametrize("grid_size", [1, 2, 3, 7])
def test_places_on_the_map_are_those_of_grid_actions(grid_size):
    drawing = LookMap(1, grid_size, 1)
    count = grid_size**2
    places = location_to_action(Lattice.grid(grid_size, 96, 24).locations())
    locations = places[:, None].expand(-1, 4, 2)
    found = drawing(torch.zeros(count, 1), locations, torch.full((count, 1), 2.0))
    assert torch.equal(found.view(count, count, 2)[..., 0], torch.eye(count))


def test_the_map_gathers_looks_and_is_cleared_with_the_episode():
    policy = new_policy(MAPPED, grid_size=3, recurrent=False, map_channels=2)
    observation = observe(4, MAPPED)
    state = None
    for step in (1, 2, 3):
        observation["step"] = np.full((4, 1), step, np.float32)
        starts = np.array([step == 1] * 3 + [step == 2])  # the last begins again
        _, state = policy.predict(observation, state, starts, deterministic=True)
    looks = state.reshape(4, 9, 3)[..., 0].sum(1)
    # a look each at steps 2 and 3; at step 1 there is only the glance
    assert looks.tolist() == [2, 2, 2, 2]
    _, fresh = policy.predict(observation, state, np.ones(4, bool), deterministic=True)
    assert fresh.reshape(4, 9, 3)[..., 0].sum(1).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("deterministic", [True, False])
def test_no_patch_is_looked_at_twice(deterministic):
    """On a grid of two by two, all are open again once the fourth has been looked at."""
    shapes = {"locations": (5, 2), "step": (1,)}
    policy = new_policy(shapes, grid_size=2, map_channels=1, repeats=False)
    places = location_to_action(Lattice.grid(2, 96, 24).locations()).numpy()
    observation = {"locations": np.zeros((50, 5, 2), np.float32)}
    state, chosen = None, []
    for step in range(1, 6):
        observation["step"] = np.full((50, 1), step, np.float32)
        starts = np.full(50, step == 1)
        actions, state = policy.predict(observation, state, starts, deterministic)
        observation["locations"][:, step - 1] = places[actions]
        chosen.append(actions)
    assert (np.sort(np.stack(chosen[:4]), axis=0) == np.arange(4)[:, None]).all()
    choice, _ = policy.network.replay(
        {
            "locations": torch.from_numpy(observation["locations"]).expand(5, -1, -1, -1),
            "step": torch.arange(1.0, 6)[:, None, None].expand(5, 50, 1),
        }
    )
    ruled_out = (choice < -100).sum(-1)
    assert ruled_out.tolist() == [[count] * 50 for count in (0, 1, 2, 3, 0)]
    assert torch.allclose(choice.exp().sum(-1), torch.ones(5, 50))


def test_feature_maps_as_they_are():
    policy = new_policy(feature_channels=0)
    merge, gru, heads = (4 * 4 + 6 + 6) * 16, 2 * 3 * 16 * 16, 16 * 2 + 16
    assert policy.multiply_adds == merge + gru + heads


def test_sampled_actions_are_clipped_and_repeat_with_the_seed():
    policy, observation = new_policy(std=0.5), observe(500)
    actions, _ = policy.predict(observation)
    assert (actions.dtype, actions.shape) == (np.float32, (500, 2))
    assert (actions.min(), actions.max()) == (-1, 1)
    assert np.array_equal(new_policy(std=0.5).predict(observation)[0], actions)
    assert not np.array_equal(new_policy(std=0.5, seed=1).predict(observation)[0], actions)


def test_grid_indices():
    policy = new_policy(grid_size=3)
    for deterministic in (True, False):
        actions, _ = policy.predict(observe(200), deterministic=deterministic)
        assert (actions.dtype, actions.shape) == (np.int64, (200,))
        assert 0 <= actions.min() <= actions.max() < 9
    assert policy.grid_size == 3
    assert new_policy().grid_size is None


def test_multiply_adds_by_hand():
    convolution, merge = 4 * 32 * 4, (32 * 4 + 6 + 6) * 16
    gru, heads = 2 * 3 * 16 * 16, 16 * 2 + 16
    assert new_policy().multiply_adds == convolution + merge + gru + heads
    linear = 16 * 16
    assert new_policy(recurrent=False).multiply_adds == convolution + merge + linear + heads


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"grid_size": 3},
        {"recurrent": False, "std": 0.05},
        {"grid_size": 3, "map_channels": 2, "feature_channels": 0},
    ],
)
def test_saves_and_loads(tmp_path, settings):
    policy = new_policy(MAPPED, **settings)
    policy.save(tmp_path / "policy.safetensors")
    loaded = agents.RecurrentPolicy.load(tmp_path / "policy.safetensors")
    assert loaded.network.config == policy.network.config
    assert (loaded.observe, loaded.grid_size) == (policy.observe, policy.grid_size)
    for deterministic in (True, False):
        expected = policy.predict(observe(3, MAPPED), deterministic=deterministic)
        found = loaded.predict(observe(3, MAPPED), deterministic=deterministic)
        for left, right in zip(found, expected, strict=True):
            assert np.array_equal(left, right)


def test_a_damaged_file_or_another_policy_is_refused(tmp_path):
    path = tmp_path / "policy.safetensors"
    new_policy().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(TensorFileError, match="checksum"):
        RecurrentPolicy.load(path)
    path.write_bytes(whole[:100])
    with pytest.raises(TensorFileError, match="damaged"):
        RecurrentPolicy.load(path)
    network = agents.PatchProposalNetwork(agents.PatchProposalConfig((4, 2, 2)))
    agents.PaperPolicy(network).save(path)
    with pytest.raises(TensorFileError, match=r"RecurrentPolicy.*PaperPolicy"):
        RecurrentPolicy.load(path)
    with pytest.raises(ValueError, match="neither a file nor a built-in name"):
        RecurrentPolicy.load("nowhere")


def test_other_observations_are_refused():
    policy = new_policy()
    with pytest.raises(ValueError, match=r"features.*\(n, 4, 2, 2\), got \(2, 4, 3, 3\)"):
        policy.predict({**observe(2), "features": np.zeros((2, 4, 3, 3), np.float32)})
    with pytest.raises(ValueError, match=r"sees 'locations'.*observe=\('locations',\)"):
        policy.predict({name: observe(2)[name] for name in ("features", "hidden_state")})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shapes": {}}, "sees takes"),
        ({"shapes": {"label": (1,)}}, "sees takes.*label"),
        ({"shapes": {"features": (4, 0, 2)}}, "shape of features"),
        ({"grid_size": 0}, "grid_size"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"std": 0.0}, "std"),
        ({"std": math.nan}, "std"),
        ({"feature_channels": -1}, "feature_channels"),
        ({"map_channels": -1}, "map_channels"),
        ({"map_channels": 1, "shapes": MAPPED}, "map_channels.*on a grid"),
        ({"map_channels": 1, "grid_size": 3}, "map_channels.*locations and step"),
        ({"repeats": False, "grid_size": 3}, "repeats=False needs a map.*got 0"),
    ],
)
def test_impossible_policies(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecurrentPolicyConfig(**{"shapes": SHAPES, **arguments})
