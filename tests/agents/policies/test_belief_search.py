import dataclasses

import numpy as np
import pytest
import torch

from agents.policies.belief_search import BeliefNetwork, BeliefPolicy, coverage, surroundings
from tests.agents.policies.made import BELIEF

CONFIG = dataclasses.replace(BELIEF, evidence_size=512)


def test_coverage_by_hand():
    """Patches of 16 pixels begin at 0, 8 and 16; places have their centres at 4, 12, 20, 28."""
    lines = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]).float()
    expected = torch.einsum("ac,bd->abcd", lines, lines).reshape(9, 16)
    assert torch.equal(coverage(CONFIG), expected)


def test_a_margin_leaves_out_what_is_at_a_patchs_edge_but_not_at_the_images():
    config = dataclasses.replace(CONFIG, grid_size=5, places=16, margin=0.25)
    first, second = coverage(config).view(5, 5, 16, 16)[:2, 0, :, 0]
    # centres at 1, 3, ..., 31; the first patch ends at 16, the second is from 4 to 20
    assert first.nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert second.nonzero()[:, 0].tolist() == [4, 5, 6, 7]


def test_evidence_is_added_around_its_patch():
    config = dataclasses.replace(CONFIG, places=8, reach=0.25)  # of 4 pixels each, r = 6
    network = BeliefNetwork(config)
    around, width = surroundings(config)
    assert (around.shape, width) == ((9, 36), 6)
    ones = torch.nn.init.ones_(network.evidence_layers[-1].bias)
    torch.nn.init.zeros_(network.evidence_layers[-1].weight)
    assert ones.sum() == 36
    added = network.evidence(torch.rand(3, 4, 2, 2), torch.tensor([0, 4, 8])).view(3, 8, 8)
    lines = [(0, 5), (1, 7), (3, 8)]  # patches of 4 places and one around, at 0, 2 and 4
    for number, (start, stop) in enumerate(lines):
        expected = torch.zeros(8, 8)
        expected[start:stop, start:stop] = 1
        assert torch.equal(added[number], expected)


class OfTheGlance(BeliefNetwork):
    """Believes what the glance says."""

    def forward(self, glance):
        return glance.flatten(1)


def policy_of_the_glance(**changes):
    return BeliefPolicy(
        OfTheGlance(dataclasses.replace(CONFIG, evidence_size=0, **changes)), seed=3
    )


def glance_of(*beliefs):
    glance = np.log(np.array(beliefs, np.float32)).reshape(-1, 4, 2, 2)
    return {"glance": glance, "features": glance}


def belief_at(**places):
    """Probabilities of 4 x 4 places, by `r<row>c<col>`."""
    values = np.full((4, 4), 1e-6)
    for name, value in places.items():
        values[int(name[1]), int(name[3])] = value
    return (values / values.sum()).ravel()


def test_looks_where_most_is_left():
    policy = policy_of_the_glance()
    seen = glance_of(belief_at(r0c0=0.5, r3c3=0.3, r0c3=0.2), belief_at(r3c0=0.9, r1c2=0.1))
    starts = np.array([True, True])
    first, state = policy.predict(seen, None, starts, deterministic=True)
    second, state = policy.predict(seen, state, ~starts, deterministic=True)
    third, state = policy.predict(seen, state, ~starts, deterministic=True)
    assert first.tolist() == [0, 6]
    assert second[0] == 8
    assert coverage(CONFIG)[second[1]].view(4, 4)[1, 2] == 1
    assert third[0] == 2
    assert state.shape == (2, 33)
    again, _ = policy.predict(seen, state, np.array([True, False]), deterministic=True)
    assert again[0] == 0
    assert again[1] != 6


def test_without_searching_on_it_stays():
    policy = policy_of_the_glance(search_on=False)
    seen = glance_of(belief_at(r0c0=0.5, r3c3=0.3))
    first, state = policy.predict(seen, None, np.array([True]), deterministic=True)
    second, _ = policy.predict(seen, state, np.array([False]), deterministic=True)
    assert first.tolist() == second.tolist() == [0]


def test_samples_follow_the_belief():
    policy = policy_of_the_glance()
    seen = glance_of(*[belief_at(r0c0=0.75, r3c3=0.25)] * 400)
    actions, _ = policy.predict(seen)
    assert set(actions.tolist()) == {0, 8}
    assert (actions == 0).mean() == pytest.approx(0.75, abs=0.07)
