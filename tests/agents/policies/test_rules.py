import numpy as np
import pytest

import agents
from gf_env.evaluation import evaluate
from gf_env.geometry import Lattice
from tests.agents.policies.made import network_for_rules, observe, patch_corners, play


def test_centre_then_corners_in_the_papers_order():
    actions, _ = play(agents.CentreCornerPolicy(), observe(1), 6)
    assert actions[:, 0].tolist() == [[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1], [0, 0]]
    actions, _ = play(agents.CentrePolicy(), observe(3), 2)
    assert not actions.any()


def test_random_is_uniform_and_gaussian_is_central():
    uniform, _ = agents.RandomPolicy().predict(observe(4000))
    central, _ = agents.GaussianPolicy(std=0.3).predict(observe(4000))
    for actions in (uniform, central):
        assert np.abs(actions.mean(axis=0)).max() < 0.05
    assert np.std(uniform) == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert np.std(central) == pytest.approx(0.3, abs=0.02)


def test_raster_reads_a_grid_as_text_is_read_and_starts_over():
    actions, _ = play(agents.RasterPolicy(3), observe(1), 10)
    expected = [[row, col] for row in (0, 36, 72) for col in (0, 36, 72)]
    assert patch_corners(actions[:, 0]) == [*expected, [0, 0]]
    assert play(agents.RasterPolicy(1), observe(1), 1)[0].tolist() == [[[0, 0]]]


@pytest.mark.parametrize("grid_size", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize(("image_size", "patch_size"), [(96, 24), (224, 96), (2000, 100), (33, 32)])
def test_rasters_patches_are_those_of_the_grid(grid_size, image_size, patch_size):
    actions, _ = play(agents.RasterPolicy(grid_size), observe(1), grid_size**2)
    lines = Lattice.grid(grid_size, image_size, patch_size).lines
    expected = [[row, col] for row in lines for col in lines]
    assert patch_corners(actions[:, 0], image_size, patch_size) == expected


@pytest.mark.parametrize(("image_size", "patch_size"), [(48, 24), (96, 24), (100, 24), (24, 24)])
def test_cover_sees_every_pixel_with_as_few_patches_as_can_be(image_size, patch_size):
    policy = agents.CoverPolicy(network_for_rules(image_size, patch_size))
    count = (-(-image_size // patch_size)) ** 2
    actions, _ = play(policy, observe(1), count + 1)
    *corners, again = patch_corners(actions[:, 0], image_size, patch_size)
    seen = np.zeros((image_size, image_size), np.int64)
    for row, col in corners:
        seen[row : row + patch_size, col : col + patch_size] += 1
    assert seen.min() == 1
    assert seen.max() == 1 or image_size % patch_size
    assert corners == sorted(corners)
    assert again == [0, 0] == corners[0]


def test_no_repeat_takes_every_patch_before_it_starts_over():
    actions, state = play(agents.NoRepeatRandomPolicy(3, seed=1), observe(50), 12)
    in_order, _ = play(agents.RasterPolicy(3), observe(1), 9)
    for episode in actions.transpose(1, 0, 2):
        assert sorted(patch_corners(episode[:9])) == patch_corners(in_order[:, 0])
    assert state.sum(axis=1).tolist() == [3] * 50
    firsts = {tuple(corner) for corner in patch_corners(actions[0])}
    assert len(firsts) == 9  # any patch may be first, and not all episodes are the same


def test_no_repeat_remembers_and_clears_row_by_row():
    policy = agents.NoRepeatRandomPolicy(2)
    _, state = play(policy, observe(3), 3)
    before = state.copy()
    _, after = policy.predict(observe(3), state, np.array([False, True, False]))
    assert np.array_equal(state, before)  # what was handed in stays
    assert after.sum(axis=1).tolist() == [4, 1, 4]


def test_grid_rules_run_in_an_evaluation(tiny_network, tiny_dataset):
    for policy in (agents.RasterPolicy(2), agents.NoRepeatRandomPolicy(2)):
        run = evaluate(policy, network=tiny_network, dataset=tiny_dataset, sequence_length=5)
        for episode in run.locations:
            assert sorted(patch_corners(episode * 2 - 1, 16, 8)) == [[0, 0], [0, 8], [8, 0], [8, 8]]
