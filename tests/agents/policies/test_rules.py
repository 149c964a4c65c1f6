import numpy as np
import pytest
import torch

import agents
from gf_env.evaluation import evaluate
from gf_env.geometry import Lattice, action_to_location, corners


def observation(count):
    return {
        "features": np.zeros((count, 4, 2, 2), np.float32),
        "hidden_state": np.zeros((count, 3), np.float32),
    }


def first_call(policy, count=3):
    return policy.predict(observation(count), None, np.ones(count, bool))


def test_centre():
    actions, _ = first_call(agents.CentrePolicy())
    assert actions.tolist() == [[0, 0]] * 3
    assert actions.dtype == np.float32


def test_centre_then_corners_in_the_papers_order():
    policy = agents.CentreCornerPolicy()
    actions, state = first_call(policy, 1)
    taken = [actions[0].tolist()]
    for _ in range(5):
        actions, state = policy.predict(observation(1), state, np.zeros(1, bool))
        taken.append(actions[0].tolist())
    assert taken == [[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1], [0, 0]]


def test_random_is_uniform_and_gaussian_is_central():
    uniform, _ = first_call(agents.RandomPolicy(), 4000)
    central, _ = first_call(agents.GaussianPolicy(std=0.3), 4000)
    for actions in (uniform, central):
        assert np.abs(actions.mean(axis=0)).max() < 0.05
    assert np.std(uniform) == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert np.std(central) == pytest.approx(0.3, abs=0.02)


def patch_corners(actions, image_size=96, patch_size=24):
    locations = action_to_location(torch.as_tensor(actions))
    return corners(locations, image_size, patch_size).tolist()


def play(policy, looks, count=1):
    """Return actions (looks, count, 2) and the last state."""
    taken, state = [], None
    for look in range(looks):
        actions, state = policy.predict(observation(count), state, np.full(count, look == 0))
        taken.append(actions)
    return np.array(taken), state


def test_raster_reads_a_grid_as_text_is_read_and_starts_over():
    actions, _ = play(agents.RasterPolicy(3), 10)
    expected = [[row, col] for row in (0, 36, 72) for col in (0, 36, 72)]
    assert patch_corners(actions[:, 0]) == [*expected, [0, 0]]
    assert actions.dtype == np.float32
    assert play(agents.RasterPolicy(1), 1)[0].tolist() == [[[0, 0]]]


@pytest.mark.parametrize("grid_size", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize(("image_size", "patch_size"), [(96, 24), (224, 96), (2000, 100), (33, 32)])
def test_rasters_patches_are_those_of_the_grid(grid_size, image_size, patch_size):
    actions, _ = play(agents.RasterPolicy(grid_size), grid_size**2)
    lines = Lattice.grid(grid_size, image_size, patch_size).lines
    expected = [[row, col] for row in lines for col in lines]
    assert patch_corners(actions[:, 0], image_size, patch_size) == expected


def test_no_repeat_takes_every_patch_before_it_starts_over():
    actions, state = play(agents.NoRepeatRandomPolicy(3, seed=1), 12, count=50)
    for episode in actions.transpose(1, 0, 2):
        assert sorted(patch_corners(episode[:9])) == patch_corners(
            play(agents.RasterPolicy(3), 9)[0][:, 0]
        )
    assert state.sum(axis=1).tolist() == [3] * 50
    firsts = {tuple(corner) for corner in patch_corners(actions[0])}
    assert len(firsts) == 9  # any patch may be first, and not all episodes are the same


def test_no_repeat_remembers_and_clears_row_by_row():
    policy = agents.NoRepeatRandomPolicy(2)
    _, state = play(policy, 3, count=3)
    before = state.copy()
    _, after = policy.predict(observation(3), state, np.array([False, True, False]))
    assert np.array_equal(state, before)  # what was handed in stays
    assert after.sum(axis=1).tolist() == [4, 1, 4]


def test_grid_rules_run_in_an_evaluation(tiny_network, tiny_dataset):
    for policy in (agents.RasterPolicy(2), agents.NoRepeatRandomPolicy(2)):
        run = evaluate(policy, network=tiny_network, dataset=tiny_dataset, sequence_length=5)
        for episode in run.locations:
            assert sorted(patch_corners(episode * 2 - 1, 16, 8)) == [[0, 0], [0, 8], [8, 0], [8, 8]]
