import dataclasses

import pytest
import torch

import agents
from agents.policies.map_network import PrincipalComponents, surroundings
from gf_env.geometry import Lattice, location_to_action
from gf_env.storage.modules import save_module
from tests.agents.policies.made import map_policy


def test_surroundings_by_hand():
    # in a window of 3 x 3 places around it, a patch itself is in the middle, the 4th
    assert surroundings(2).tolist() == [[4, 5, 7, 8], [3, 4, 6, 7], [1, 2, 4, 5], [0, 1, 3, 4]]


def seen(count, patches, grid_size=7):
    """Return what is seen after one look each at patches, the same in all else."""
    places = location_to_action(Lattice.grid(grid_size, 96, 24).locations())[patches]
    generator = torch.Generator().manual_seed(0)
    shared = {"features": (4, 2, 2), "hidden_state": (6,)}
    shown = {
        name: torch.rand(1, *shape, generator=generator).expand(count, *shape)
        for name, shape in shared.items()
    }
    locations = torch.zeros(count, 3, 2)
    locations[:, 0] = places
    return {**shown, "locations": locations, "step": torch.full((count, 1), 2.0)}


def test_what_a_look_says_is_laid_around_it():
    """From wherever it was, the same is said of the place so many rows below and columns beside."""
    network = map_policy(grid_size=7).network
    every = torch.arange(49)
    _, _, memory = network(seen(49, every), network.initial_state(49))
    drawn = memory.view(7, 7, 7, 7)  # the look's row and column, those of places
    assert torch.allclose(drawn[1:, :, 1:], drawn[:-1, :, :-1])
    assert torch.allclose(drawn[:, 1:, :, 1:], drawn[:, :-1, :, :-1])
    assert len(drawn.unique()) == 13 * 13


@pytest.mark.parametrize("stop", [True, False])
def test_an_untrained_map_is_blank(stop):
    config = agents.MapConfig((4, 2, 2), 6, 3, 7, query_size=2, stop=stop)
    network = agents.MapNetwork(config)
    choice, values, _ = network(seen(9, torch.arange(9)), network.initial_state(9))
    assert torch.equal(values, torch.zeros(9))
    patches = choice[:, :49].exp()
    assert torch.allclose(patches, patches[:1, :1].expand(9, 49))
    assert torch.allclose(patches.sum(1), torch.tensor(31 / 32 if stop else 1.0))


def test_keys_and_query_join_glance_and_state():
    """The same map tells other places apart once the classifier knows something else."""
    network = map_policy(grid_size=7, query_size=2).network
    shown = {**seen(2, torch.zeros(2, dtype=torch.int64)), "step": torch.ones(2, 1)}
    shown["hidden_state"] = torch.rand(2, 6, generator=torch.Generator().manual_seed(1))
    choice, _, memory = network(shown, network.initial_state(2))
    assert torch.equal(memory[0], memory[1])
    assert not torch.allclose(choice[0], choice[1])


def replayed(network, count=5):
    """Choices of a glance and two looks, replayed."""
    shown = seen(count, torch.arange(count))
    steps = [{**shown, "step": torch.full((count, 1), float(step))} for step in (1, 2, 3)]
    perceived = [network.perceive(step) for step in steps]
    return network.replay(
        {name: torch.stack([each[name] for each in perceived]) for name in perceived[0]}
    )


@pytest.mark.parametrize("query_size", [0, 1, 4])
def test_shapes_with_keys_and_query_and_without(query_size):
    network = map_policy(grid_size=7, query_size=query_size).network
    assert (network.keys is None) == (network.query is None) == (query_size == 0)
    assert network.initial_state(5).shape == (5, 49 * (1 + query_size))
    choices, values = replayed(network)
    assert (choices.shape, values.shape) == ((3, 5, 49), (3, 5))
    choice, _, memory = network(seen(5, torch.arange(5)), network.initial_state(5))
    assert (choice.shape, memory.shape) == ((5, 49), (5, 49 * (1 + query_size)))


def test_gradients_reach_keys_and_query():
    """An untrained query is silent, so keys learn once it is not."""
    config = agents.MapConfig((4, 2, 2), 6, 3, 7, query_size=2)
    network = agents.MapNetwork(config)
    for step, learns in enumerate((False, True)):
        network.zero_grad()
        choices, _ = replayed(network)
        choices[:, :, 7].sum().backward()
        assert network.query.weight.grad.abs().sum() > 0
        assert (network.keys.weight.grad.abs().sum() > 0) == learns, step
        with torch.no_grad():
            network.query.weight.add_(network.query.weight.grad)


def test_a_silent_query_changes_nothing():
    """A network with keys whose query says nothing is the one without."""
    with_query = map_policy(grid_size=7, query_size=3).network
    without = map_policy(grid_size=7).network
    torch.nn.init.zeros_(with_query.query.weight)
    torch.nn.init.zeros_(with_query.query.bias)
    shared = {
        name: value
        for name, value in with_query.state_dict().items()
        if not name.startswith(("keys", "query"))
    }
    without.load_state_dict(shared)  # no other names in either
    for found, expected in zip(replayed(with_query), replayed(without), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


def test_files_from_before_there_was_a_query_load(tmp_path):
    policy = map_policy(grid_size=7)
    described = dataclasses.asdict(policy.network.config)
    assert described.pop("query_size") == 0
    file = tmp_path / "old.safetensors"
    save_module(file, policy.file_kind, described, policy.network)
    loaded = agents.load_policy(file)
    assert loaded.network.config == policy.network.config
    assert torch.equal(replayed(loaded.network)[0], replayed(policy.network)[0])


def test_principal_components_keep_what_varies():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(500, 2, generator=generator)
    samples = (hidden @ torch.randn(2, 12, generator=generator) + 3).view(500, 3, 2, 2)
    components = PrincipalComponents(12, 4)
    components.fit(samples)
    found = components(samples)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(found[:, 2:], torch.zeros(500, 2), atol=1e-4)  # there are but two
    assert found.square().sum(1).mean().item() == pytest.approx(4, rel=1e-3)
    distances, kept = torch.pdist(samples.flatten(1)), torch.pdist(found)
    assert torch.allclose(kept / distances, (kept / distances)[0], rtol=1e-3)


@pytest.mark.parametrize("samples", [torch.ones(3, 12), torch.rand(2, 12)])
def test_few_samples_or_none_that_vary_are_no_harm(samples):
    components = PrincipalComponents(12, 4)
    components.fit(samples)
    assert components(samples).isfinite().all()


def test_what_is_dropped_in_training_stays_dropped_when_episodes_are_replayed():
    network = map_policy(dropout=0.5, grid_size=7).network
    shown, memory = seen(500, torch.zeros(500, dtype=torch.int64)), network.initial_state(500)
    steps = [{**shown, "step": torch.full((500, 1), float(step))} for step in (1, 2)]
    generator = torch.Generator().manual_seed(0)
    perceived = [network.perceive(step, generator) for step in steps]
    for each in perceived:
        choice, value, memory = network.act(each, memory)
    choices, values = network.replay(
        {name: torch.stack([each[name] for each in perceived]) for name in perceived[0]}
    )
    assert torch.allclose(choices[-1], choice, atol=1e-4)
    assert torch.allclose(values[-1], value, atol=1e-4)
    assert len(value.unique()) > 100  # all see the same
    assert "kept" not in network.perceive(shown)
    _, expected, _ = network(steps[0], network.initial_state(500))
    assert values[0].mean().item() == pytest.approx(expected[0].item(), abs=0.3)


def test_saved_in_half_the_room(tmp_path):
    policy = map_policy(grid_size=7)
    path = tmp_path / "policy.safetensors"
    policy.save(path, half=True)
    found = agents.MapPolicy.load(path).network
    assert found.config == policy.network.config
    for name, value in policy.network.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.half().to(value.dtype))
