"""Nested observations, infos and results, compared in every part."""

import functools

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode


def assert_alike(found, expected, close=np.testing.assert_array_equal, path=""):
    """Equal structure, types and values; floats are compared by `close`."""
    again = functools.partial(assert_alike, close=close)
    assert type(found) is type(expected), path
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key in expected:
            again(found[key], expected[key], path=f"{path}.{key}")
    elif isinstance(expected, (tuple, list)):
        for number, (left, right) in enumerate(zip(found, expected, strict=True)):
            again(left, right, path=f"{path}[{number}]")
    elif isinstance(expected, np.ndarray) and expected.dtype == object:
        again(found.tolist(), expected.tolist(), path=path)
    elif np.asarray(expected).dtype.kind == "f":
        assert np.asarray(found).dtype == np.asarray(expected).dtype, path
        assert np.shape(found) == np.shape(expected), path
        close(found, expected, err_msg=path)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=path)
        assert np.asarray(found).dtype == np.asarray(expected).dtype, path


def to_rounding(found, expected, err_msg):
    """Equal to the rounding of another batch size."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=err_msg)


def tolerance(values):
    """float16 has eleven bits; some are lost on the way, and what is a probability has a scale."""
    return max(2e-4, 1e-3 * np.abs(values).max())


def to_float16(found, expected, err_msg):
    """Equal as far as float16 tells."""
    np.testing.assert_allclose(found, expected, atol=tolerance(expected), err_msg=err_msg)


def random_actions(space, rng, stop=False):
    """Locations anywhere, also outside and off a lattice, or numbers of patches.

    With stop they are a vector environment's that may stop, and one in four does.
    """
    if isinstance(space, gym.spaces.Box):
        actions = rng.uniform(-1.2, 1.2, space.shape).astype(np.float32)
    else:
        actions = rng.integers(space.nvec if hasattr(space, "nvec") else space.n)
    if not stop:
        return actions
    ends = rng.random(len(actions)) < 0.25
    if isinstance(space, gym.spaces.Box):
        actions[:, 2] = np.where(ends, 0.1, -0.1)
        return actions
    # any patch in the place of a stop by chance
    return np.where(ends, space.nvec - 1, actions % (space.nvec - 1))


def assert_vector_envs_alike(found, expected, close, steps=14):
    """Equal from the same seed on, in any mode; return how many episodes ended, and in how many
    steps some did and others did not."""
    envs, rng, count = (found, expected), np.random.default_rng(0), found.num_envs
    stop = found.unwrapped.task.actions.stop
    assert_alike(*(env.reset(seed=11) for env in envs), close)
    ended, ends, partial = np.zeros(count, bool), 0, 0
    for _ in range(steps):
        if found.metadata["autoreset_mode"] == AutoresetMode.DISABLED and ended.any():
            seed = [int(each) for each in rng.integers(0, 1000, count)]
            masks = ({"reset_mask": ended.copy()} for _ in envs)
            assert_alike(*(env.reset(seed=seed, options=next(masks)) for env in envs), close)
        actions = random_actions(found.action_space, rng, stop)
        results = [env.step(actions) for env in envs]
        assert_alike(*results, close)
        ended = results[1][2]
        ends += ended.sum()
        partial += 0 < ended.sum() < count
    return ends, partial
