import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import gf_env
from tests.helpers.compare import assert_alike
from tests.helpers.tiny import random_dataset


def make(env_id="GlanceFocus-v0", **kwargs):
    return gym.make(env_id, split="validation", **kwargs)


def test_spaces():
    env = make(observe=("glance", "locations", "step"))
    assert env.action_space == gym.spaces.Box(-1, 1, (2,), np.float32)
    shapes = {key: space.shape for key, space in env.observation_space.spaces.items()}
    assert shapes == {
        "features": (128, 3, 3),
        "hidden_state": (128,),
        "glance": (128, 3, 3),
        "locations": (4, 2),
        "step": (1,),
    }
    classes = make(observe=("probabilities",)).observation_space["probabilities"]
    assert classes == gym.spaces.Box(0, 1, (10,), np.float32)
    assert set(make().observation_space.spaces) == {"features", "hidden_state"}
    assert make("GlanceFocusGrid-v0").action_space == gym.spaces.Discrete(49)
    assert make("GlanceFocusGrid-v0", grid_size=3).action_space == gym.spaces.Discrete(9)


def episode(env, seed, actions):
    seen = [env.reset(seed=seed)]
    seen += [env.step(action) for action in actions]
    return seen


def test_same_seed_same_episode_bit_for_bit():
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 2)).astype(np.float32)
    first, second = (episode(make(), 7, actions) for _ in range(2))
    assert_alike(first, second)
    other = episode(make(), 8, actions)
    assert other[0][1]["index"] != first[0][1]["index"]


def test_info_and_return():
    env = make()
    _, info = env.reset(seed=3)
    types = {
        **dict.fromkeys(("index", "label", "prediction", "step", "multiply_adds"), np.int64),
        **dict.fromkeys(("confidence", "max_probability", "gain", "cost"), np.float64),
        **dict.fromkeys(("correct", "stopped", "is_success", "patch"), np.ndarray),
    }
    assert {key: type(value) for key, value in info.items()} == types
    labels = gf_env.load_dataset("cluttered-digits", "validation").labels
    assert info["label"] == labels[info["index"]]
    assert info["patch"].tolist() == [0, 0, 96, 96]
    first, costs, total = info["confidence"], [info["multiply_adds"]], 0.0
    for number in range(4):
        _, reward, terminated, truncated, info = env.step(np.array([-1.0, 0.5], np.float32))
        assert type(reward) is float
        assert type(terminated) is bool
        assert truncated is False
        assert terminated == (number == 3)
        assert info["step"] == number + 2
        assert info["patch"].tolist() == [0, 54, 24, 24]  # 0.75 of a travel of 72
        assert info["correct"] == (info["prediction"] == info["label"])
        assert {key: type(value) for key, value in info.items()} == types
        assert {info[key].dtype for key in ("correct", "stopped", "is_success")} == {np.dtype(bool)}
        assert info["is_success"] == (terminated and info["correct"])
        assert info["gain"] == reward
        assert info["cost"] == 0
        assert not info["stopped"]
        costs.append(info["multiply_adds"])
        total += reward
    assert total == pytest.approx(info["confidence"] - first, abs=1e-6)
    assert len(set(np.diff(costs))) == 1


def test_scribbling_on_an_observation_changes_nothing():
    env, other = (make(observe=("glance", "locations", "step")) for _ in range(2))
    action = np.array([0.5, -0.5], np.float32)
    for _ in range(2):  # neither this episode nor another one on the same image
        (first, _), (kept, _) = (each.reset(options={"index": 5}) for each in (env, other))
        for value in first.values():
            value[:] = 1e9
        found, expected = env.step(action), other.step(action)
        assert_alike(found, expected)
    assert np.array_equal(found[0]["glance"], kept["features"])
    assert found[0]["locations"].tolist() == [[0.5, -0.5], [0, 0], [0, 0], [0, 0]]
    assert found[0]["step"].tolist() == [2.0]


def test_actions_outside_are_clipped():
    far, edge = make(), make()
    far.reset(options={"index": 1})
    edge.reset(options={"index": 1})
    outside, inside = np.float32([-7, 3]), np.float32([-1, 1])
    assert_alike(far.unwrapped.step(outside), edge.unwrapped.step(inside))


def test_grid_actions_are_row_major_patches():
    env = make("GlanceFocusGrid-v0")
    for action, corner in ((0, [0, 0]), (6, [0, 72]), (42, [72, 0]), (48, [72, 72]), (9, [12, 24])):
        env.reset(seed=0)
        assert env.step(action)[4]["patch"].tolist() == [*corner, 24, 24]


def test_info_says_where_was_really_looked():
    env = make(lattice_stride=50, observe=("locations",))
    assert env.action_space == make().action_space
    env.reset(seed=0)
    for number, (action, corner) in enumerate(
        (([0.3, 0.5], [50, 50]), ([0.7, 1.0], [50, 72]), ([-0.4, -1.0], [0, 0]))
    ):
        observation, *_, info = env.step(np.float32(action))
        assert info["patch"].tolist() == [*corner, 24, 24]
        looked = (observation["locations"][number] + 1) / 2 * 72
        assert np.floor(looked + 1e-3).tolist() == corner


def test_sequence_length_and_exits():
    env = make(sequence_length=3, exit_thresholds=(0, 0, 0))
    env.reset(seed=0)
    assert env.step(np.zeros(2, np.float32))[2] is True
    env = make(sequence_length=8)
    env.reset(seed=0)
    ends = [env.step(np.zeros(2, np.float32))[2] for _ in range(7)]
    assert ends == [False] * 6 + [True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "mnist"}, "unknown dataset 'mnist'.*cluttered-digits"),
        ({"network": "vgg"}, "unknown network 'vgg'.*cluttered-digits"),
        ({"split": "dev"}, "unknown split 'dev'.*pretrain.*train"),
        ({"reward": "gold"}, "unknown reward 'gold'.*confidence_gain"),
        ({"observe": ("label",)}, "glance.*locations.*step.*label"),
        ({"observe": "step"}, "takes a tuple"),
        ({"render_mode": "ansi"}, "unknown render_mode 'ansi'.*rgb_array"),
        ({"exit_thresholds": (0.5,)}, "each of 5 steps, got 1"),
        ({"look_cost": -0.1}, "look_cost must be greater than or equal to 0, got -0.1"),
        ({"look_cost": np.nan}, "look_cost must be .*, got nan"),
        ({"look_cost": np.inf}, "look_cost must be a finite number, got inf"),
        (
            {"stop": True, "exit_thresholds": (0.9,) * 5},
            "stop=True leaves it to the agent .*; leave one of them out",
        ),
        ({"sequence_length": 0}, "sequence_length must be greater than or equal to 2, got 0"),
        ({"grid_size": 0}, "grid_size must be 1 or more, got 0"),
        ({"lattice_stride": 0}, "a pixel or more, got 0"),
        ({"lattice_stride": 4, "grid_size": 3}, "leave it or grid_size out"),
        ({"precision": "float16"}, "unknown precision 'float16'.*bfloat16"),
        ({"dataset": random_dataset()}, "image_size 96 against 16.*classes 10 against 3"),
        ({"dataset": random_dataset(size=96, channels=3)}, "channels 1 against 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*render_mode.*:UserWarning")  # Gymnasium's own word
def test_bad_arguments(arguments, message):
    for create in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=message):
            create("GlanceFocus-v0", **{"split": "validation", **arguments})


def test_arguments_that_do_not_exist():
    # the words are Python's own: TorchRL tries `frameskip` and looks for them
    with pytest.raises(TypeError) as pythons:
        (lambda: None)(patch=24)
    words = str(pythons.value).partition(" ")[2]
    message = rf"{words}; choose from .*reward"
    for create in (gym.make, gym.make_vec):
        with pytest.raises(TypeError, match=message):
            create("GlanceFocus-v0", patch=24)


def test_a_network_in_training_mode_is_refused(tiny):
    tiny["network"].train()
    with pytest.raises(ValueError, match="eval"):
        gym.make("GlanceFocus-v0", **tiny)


@pytest.mark.parametrize(
    ("stop", "action"),
    [
        *((False, each) for each in ([np.nan, 0], [0, 0, 0], [[0, 0]], 0.5, "left", None)),
        *((True, each) for each in ([0, 0, np.nan], [0, 0], [[0, 0, 1]])),
    ],
)
def test_bad_actions_lose_nothing(stop, action):
    env, other = (make(stop=stop).unwrapped for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(ValueError, match=r"NaN|shape"):
        env.step(action)
    good = np.zeros(2 + stop, np.float32)
    assert_alike(env.step(good), other.step(good))


@pytest.mark.parametrize(("stop", "outside"), [(False, 49), (True, 50)])
def test_bad_grid_actions(stop, outside):
    env = make("GlanceFocusGrid-v0", stop=stop).unwrapped
    env.reset(seed=0)
    for action in (outside, -1, 2.0, np.array([1, 2])):
        with pytest.raises(ValueError, match="grid indices"):
            env.step(action)


def test_step_before_reset_and_after_the_end():
    env = make().unwrapped
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.zeros(2))
    with pytest.raises(ResetNeeded, match="ended"):
        env.step(np.zeros(2))
    env.reset()
    env.step(np.zeros(2))


@pytest.mark.parametrize("index", [2000, -1, 1.5, "7", True])
def test_bad_options(index):
    env = make()
    with pytest.raises(ValueError, match="index"):
        env.reset(options={"index": index})
    with pytest.raises(ValueError, match=r"\['image'\].*index"):
        env.reset(options={"image": 3})


def test_a_built_network_and_dataset_are_taken(tiny):
    env = gym.make("GlanceFocus-v0", **tiny)
    observation, info = env.reset(options={"index": 4})
    assert observation["features"].shape == (128, 1, 1)
    assert info["label"] == tiny["dataset"].labels[4]
    assert info["patch"].tolist() == [0, 0, 16, 16]
