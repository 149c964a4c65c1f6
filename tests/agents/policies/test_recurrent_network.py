import pytest
import torch

from agents.policies.recurrent_network import LookMap
from gf_env.geometry import Lattice, location_to_action


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
