import numpy as np
import pytest
import torch

import agents
from gf_env.envs import episodes
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from gf_env.evaluation import evaluate
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


@pytest.mark.parametrize("make", [agents.GreedyOracle, agents.BeamSearchOracle])
@pytest.mark.parametrize("where", [{}, {"grid_size": 3, "feature_bank": True}])
def test_oracles_stop_where_looks_do_not_earn_their_price(tiny_network, tiny_dataset, make, where):
    given = {"network": tiny_network, "dataset": tiny_dataset, **where}
    always, stopping = make(3), make(3, stop=True)
    assert (always.stop, stopping.stop) == (False, True)
    dear = evaluate(stopping, **given, look_cost=1.0)
    assert dear.stopped.all()
    assert dear.looks.tolist() == [1] * 20
    assert not dear.returns.any()
    free, full = (evaluate(oracle, **given) for oracle in (stopping, always))
    assert not full.stopped.any()
    # so it is on these images; in general a greedy one may stop before a look that loses at first
    assert np.all(free.returns >= full.returns - 1e-5)
    if make is agents.GreedyOracle:  # from one look to the next, where it is not stopped
        assert np.all(np.diff(free.confidence, axis=1) >= -1e-6)
    price = float(np.median(full.confidence[:, 1] - full.confidence[:, 0]))
    between = evaluate(stopping, **given, look_cost=max(price, 1e-3))
    assert 1 < between.mean_looks < 5
    assert np.all(between.returns >= -1e-5)


def test_what_it_remembers_belongs_to_one_network_and_one_batch(tiny_network, tiny_dataset):
    task = make_task(network=tiny_network, dataset=tiny_dataset)
    oracle = agents.GreedyOracle(3)
    for indices in (np.arange(4), np.arange(4, 8)):
        state = task.start(indices)
        fresh = agents.GreedyOracle(3).choose_looks(task, state).locations
        assert torch.equal(oracle.choose_looks(task, state).locations, fresh)
