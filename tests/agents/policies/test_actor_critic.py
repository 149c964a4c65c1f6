"""What learners count on: replaying whole episodes is acting in them step after step."""

import pytest
import torch

from tests.agents.policies.made import MAPPED, map_policy, recurrent_policy

NETWORKS = {
    **{
        f"recurrent={recurrent}, map_channels={channels}": recurrent_policy(
            MAPPED, recurrent=recurrent, map_channels=channels, grid_size=3
        )
        for recurrent in (True, False)
        for channels in (0, 2)
    },
    "map": map_policy(),
    "map, components, query, stop": map_policy(components=5, query_size=2, stop=True),
}


def episodes(count):
    """Return what is seen in as many episodes of three looks, (3, count, ...) by name."""
    generator = torch.Generator().manual_seed(0)
    seen = {
        name: torch.rand(3, count, *shape, generator=generator) for name, shape in MAPPED.items()
    }
    seen["step"] = torch.arange(1, 4)[:, None, None].expand(3, count, 1).float()
    return seen


def at(seen, steps):
    """Return what is seen of each episode at its own step, (n, ...) by name."""
    rows = torch.arange(len(steps))
    return {name: value[torch.tensor(steps), rows] for name, value in seen.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_replay_is_step_after_step(name):
    network, seen = NETWORKS[name].network, episodes(5)
    memory = network.initial_state(5)
    perceived = []
    for step in range(3):
        perceived.append(network.perceive(at(seen, [step] * 5)))
        choice, value, memory = network.act(perceived[-1], memory)
        kept = {key: torch.stack([each[key] for each in perceived]) for key in perceived[0]}
        choices, values = network.replay(kept)
        assert torch.allclose(choices[-1], choice, atol=1e-5)
        assert torch.allclose(values[-1], value, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_episodes_at_different_steps_do_not_disturb_each_other(name):
    network, seen = NETWORKS[name].network, episodes(5)
    _, _, memory = network(at(seen, [0] * 5), network.initial_state(5))
    alone = network(at(seen, [1] * 5), memory)
    new = network(at(seen, [0] * 5), network.initial_state(5))
    mixed_memory = torch.where(torch.arange(5)[:, None] < 2, 0, memory)
    mixed = network(at(seen, [0, 0, 1, 1, 1]), mixed_memory)
    for found, first, second in zip(mixed, new, alone, strict=True):
        assert torch.allclose(found[:2], first[:2], atol=1e-5)
        assert torch.allclose(found[2:], second[2:], atol=1e-5)
