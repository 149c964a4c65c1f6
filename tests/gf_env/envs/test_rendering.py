import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import gf_env
from gf_env.envs import rendering
from gf_env.envs.make_task import make_task


def frames(**kwargs):
    env = gym.make("GlanceFocus-v0", split="validation", render_mode="rgb_array", **kwargs)
    env.reset(options={"index": 1})
    seen = [env.render()]
    for action in ([-1, -1], [1, 1]):
        env.step(np.float32(action))
        seen.append(env.render())
    return seen


def test_frames_are_pictures_of_one_size_that_grow():
    seen = frames()
    for frame in seen:
        assert frame.dtype == np.uint8
        assert frame.shape == (*seen[0].shape[:2], 3)
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_patches_are_outlined_where_they_are():
    _, first, second = frames()
    left, top = rendering.MARGIN, rendering.MARGIN + rendering.LINE
    side = rendering.SCENE * 24 // 96
    one, two = (np.array(colour) for colour in rendering.PATCH_COLOURS[:2])
    assert (first[top + side - 1, left + 20 : left + side] == one).all()
    assert not (first == two).all(axis=2).any()
    edge = rendering.SCENE - side
    assert (second[top + edge, left + edge + 20 : left + rendering.SCENE] == two).all()
    assert (second[top + side - 1, left + 20 : left + side] == one).all()


def test_scene_is_the_image():
    start = frames()[0]
    scene = gf_env.load_dataset("cluttered-digits", "validation").images(np.array([1]))[0, 0]
    left, top = rendering.MARGIN, rendering.MARGIN + rendering.LINE
    shown = start[top : top + rendering.SCENE : 4, left : left + rendering.SCENE : 4]
    assert np.array_equal(shown, np.repeat(scene.numpy()[..., None], 3, axis=2))


def test_of_many_classes_the_likeliest_and_the_true_one_are_shown():
    probabilities = np.linspace(0.02, 0.001, 100, dtype=np.float32)
    assert rendering._shown_classes(probabilities, 3) == list(range(10))
    assert rendering._shown_classes(probabilities, 50) == [*range(9), 50]
    assert rendering._shown_classes(probabilities[:7], 2) == list(range(7))


def test_normalised_images_can_be_drawn(tiny):
    task = make_task(**tiny)
    state = task.start(np.arange(2))
    floats = state._replace(images=task.network.normalise(state.images))
    drawn = [rendering.draw_episodes(task, each) for each in (state, floats)]
    assert np.array_equal(*drawn)


def test_render_needs_an_episode_and_a_mode():
    env = gym.make("GlanceFocus-v0", split="validation", render_mode="rgb_array").unwrapped
    with pytest.raises(ResetNeeded):
        env.render()
    silent = gym.make("GlanceFocus-v0", split="validation").unwrapped
    silent.reset()
    with pytest.warns(UserWarning, match="rgb_array"):
        assert silent.render() is None
