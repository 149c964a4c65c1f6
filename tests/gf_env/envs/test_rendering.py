import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from PIL import ImageDraw

import gf_env
from gf_env.envs import episodes, rendering
from gf_env.envs.actions import Look
from gf_env.envs.make_task import make_task
from tests.helpers.tiny import random_dataset, random_network


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


@pytest.fixture
def written(monkeypatch):
    """What is written from here on, (text, left, right) each."""
    texts, draw = [], ImageDraw.ImageDraw.text

    def write(pen, xy, text, *, font, anchor="la", **how):
        width = font.getlength(text)
        left = xy[0] - (width if anchor[0] == "r" else 0)
        texts.append((text, left, left + width))
        draw(pen, xy, text, font=font, anchor=anchor, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", write)
    return texts


def test_pictures_say_why_episodes_ended(tiny):
    task = make_task(**tiny, sequence_length=3, stop=True)
    state = task.start(np.arange(3))
    middle = torch.full((3, 2), 0.5)
    for stop in ([False, False, True], [True, False, False]):
        assert rendering.why_ended(task.rules, state)[:2] == [None, None]
        state, _, _ = task.step(state, Look(middle, torch.tensor(stop)))
    found = rendering.why_ended(task.rules, state)
    assert found == ["the agent stopped", "all looks taken", "the agent stopped"]
    # at the glance an exit's threshold ends nothing; at the last look there is no other end
    exits = make_task(**tiny, sequence_length=3, exit_thresholds=(0, 0, 0))
    states = [exits.start(np.arange(1))]
    for _ in range(2):
        states.append(episodes.advance(exits.glimpse_source, states[-1], middle[:1]))
    found = [rendering.why_ended(exits.rules, state)[0] for state in states]
    assert found == [None, "the network is sure", "all looks taken"]


@pytest.mark.parametrize(("look_cost", "paid"), [(0.0, ""), (0.05, ", cost 0.05"), (3, ", cost 3")])
@pytest.mark.parametrize("stopped", [False, True])
def test_the_header_fits(written, look_cost, paid, stopped):
    """Also with names like ImageNet's, and with all that it can say."""
    names = ("W" * 200, "great white shark, white shark, man-eater, man-eating shark", "c")
    network, dataset = random_network(classes=names), random_dataset(classes=names)
    task = make_task(network=network, dataset=dataset, look_cost=look_cost, stop=True)
    state, middle = task.start(np.arange(3)), torch.full((3, 2), 0.5)
    for stop in (False, stopped)[: 1 + stopped]:
        state, _, _ = task.step(state, Look(middle, torch.full((3,), stop)))
    width = rendering.draw_episodes(task, state)[0].shape[1]
    headers = [text for text in written if " of " in text[0]]
    ends = [text for text in written if text[0] == "the agent stopped"]
    assert (len(headers), len(ends)) == (3, 3 * stopped)
    limit = min([left for _, left, _ in ends], default=width - rendering.MARGIN)
    for header, _, right in headers:
        assert header.startswith(f"look 2 of 5{paid}    class ")
        assert header.endswith(")")  # of the probability
        assert right <= limit
    assert all(right <= width - rendering.MARGIN for _, _, right in ends)


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
