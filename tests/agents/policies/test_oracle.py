import numpy as np
import pytest
import torch

import agents
from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from gf_env.geometry import Lattice


@pytest.mark.parametrize("lattice_stride", [None, 3])
@pytest.mark.parametrize("feature_bank", [True, False])
def test_greedy_oracle_is_the_best_of_all_tries(
    tiny_network, tiny_dataset, lattice_stride, feature_bank
):
    """Its tries are not on the lattice; a step and a bank both take the nearest patch then."""
    where = {"grid_size": 4} if lattice_stride is None else {"lattice_stride": lattice_stride}
    task = make_task(network=tiny_network, dataset=tiny_dataset, **where, feature_bank=feature_bank)
    state = task.start(np.arange(4))
    grid = Lattice.grid(3, 16, 8).locations()
    for _ in range(3):
        oracle = agents.GreedyOracle(3, batch_size=20)
        chosen = oracle.choose_looks(task, state).locations
        tried = []
        for location in grid:
            after, _, _ = task.step(state, Look(location.expand(4, 2)))
            tried.append(episodes.readout(after).confidence)
        confidences = oracle.confidences(task, state)
        assert torch.allclose(confidences, torch.stack(tried, dim=1), atol=1e-5)
        best = torch.stack(tried).max(0).values
        state, _, _ = task.step(state, Look(chosen))
        assert torch.allclose(episodes.readout(state).confidence, best, atol=1e-5)


def test_what_it_remembers_belongs_to_one_network_and_one_batch(tiny_network, tiny_dataset):
    task = make_task(network=tiny_network, dataset=tiny_dataset)
    oracle = agents.GreedyOracle(3)
    for indices in (np.arange(4), np.arange(4, 8)):
        state = task.start(indices)
        fresh = agents.GreedyOracle(3).choose_looks(task, state).locations
        assert torch.equal(oracle.choose_looks(task, state).locations, fresh)
