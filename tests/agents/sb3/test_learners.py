import json
import random
import zipfile

import numpy as np
import pytest
import torch
from sb3_contrib import TQC, TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize
from torch.nn.utils import parameters_to_vector

import gf_env
from agents import StopWhenSure
from agents.sb3 import GlanceFocusVecEnv, learners
from agents.sb3.features import GlanceFocusExtractor
from agents.sb3.learners import ALGORITHM_KEY, ALGORITHMS, DEFAULTS, SB3Config, train
from agents.sb3.saved_models import load_sb3
from tests.helpers.slow import slow, slow_but
from tests.helpers.tiny import random_dataset

ON_POLICY = {"n_steps": 4, "batch_size": 16, "n_epochs": 1}
OFF_POLICY = {"buffer_size": 200, "learning_starts": 32, "batch_size": 16, "gradient_steps": 1}
QUICK = {
    "PPO": ON_POLICY,
    "A2C": {},
    "RecurrentPPO": {**ON_POLICY, "policy_kwargs": {"lstm_hidden_size": 8}},
    **{name: OFF_POLICY for name in ("SAC", "TD3", "DQN")},
}


@pytest.fixture
def task(tiny_network):
    return {"network": tiny_network, "dataset": random_dataset()}


def quick(algorithm="PPO", **changes):
    settings = {**QUICK[algorithm], **changes.pop("settings", {})}
    return SB3Config(
        algorithm, **{"total_timesteps": 128, "num_envs": 8, "settings": settings, **changes}
    )


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    ("algorithm", "grid_size"),
    [
        *((name, None) for name in ALGORITHMS),
        *((name, 3) for name in ("PPO", "A2C", "RecurrentPPO", "DQN")),
    ],
)
def test_trains_saves_loads_and_evaluates(task, algorithm, grid_size, stop, tmp_path):
    seen = []
    model = train(quick(algorithm), seen.append, **task, grid_size=grid_size, stop=stop)
    assert type(model) is ALGORITHMS[algorithm]
    assert model.num_timesteps == seen[-1].steps == 128
    for unnamed in ([], [ALGORITHM_KEY]):  # files of other programs do not name the algorithm
        model.save(tmp_path / "model", exclude=unnamed)
        with zipfile.ZipFile(tmp_path / "model.zip") as archive:
            assert (ALGORITHM_KEY in json.loads(archive.read("data"))) is not bool(unnamed)
        loaded = load_sb3(tmp_path / "model")
        assert type(loaded) is ALGORITHMS[algorithm]
    if algorithm == "DQN" and grid_size is None:
        grid_size = 7  # the grid id's own
    found, again = (gf_env.evaluate(each, **task, grid_size=grid_size) for each in (model, loaded))
    assert np.array_equal(found.locations, again.locations)
    assert np.array_equal(found.looks, again.looks)
    assert found.locations.shape == (20, 4, 2)
    assert found.stopped.any() <= stop
    if grid_size is None:
        assert model.action_space.shape == (2 + stop,)
    else:
        assert model.action_space.n == grid_size**2 + stop
        assert len(np.unique(found.locations)) <= grid_size + stop  # 0.5 of looks not taken


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_seed_same_weights(task, algorithm):
    models = [train(quick(algorithm, seed=seed), **task) for seed in (3, 3, 4)]
    first, again, other = (parameters_to_vector(each.policy.parameters()) for each in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_global_generators_are_left_alone(task):
    def states():
        _, numpy_state, *position = np.random.get_state()  # noqa: NPY002
        return random.getstate(), numpy_state.tolist(), position, torch.get_rng_state().tolist()

    before = states()
    train(quick(), **task)
    assert states() == before


def observation_for(model, count):
    rng, spaces = np.random.default_rng(0), model.observation_space.items()
    return {key: np.float32(rng.normal(size=(count, *space.shape))) for key, space in spaces}


@pytest.mark.parametrize("algorithm", ["PPO", "RecurrentPPO", "DQN"])
def test_a_policy_sees_what_it_is_told_to(task, algorithm, tmp_path):
    """The environment always shows more; evaluation shows what the model's space has."""
    model = train(quick(algorithm, sees=("step", "features")), **task)
    assert {*model.observation_space} == {"features", "hidden_state", "step"}
    model.save(tmp_path / "model.zip")
    loaded = load_sb3(tmp_path / "model.zip")
    modules = [*loaded.policy.modules()]
    extractor = next(each for each in modules if isinstance(each, GlanceFocusExtractor))
    assert [*extractor.encoders] == ["features", "step"]
    grid_size = 7 if algorithm == "DQN" else None
    assert gf_env.evaluate(loaded, **task, grid_size=grid_size).correct.shape == (20, 5)
    observation = observation_for(model, 6)
    actions, _ = model.predict(observation, deterministic=True)
    changed = {**observation, "hidden_state": observation["hidden_state"] + 1}
    assert np.array_equal(loaded.predict(changed, deterministic=True)[0], actions)
    changed["step"] = observation["step"] + 50
    assert not np.array_equal(loaded.predict(changed, deterministic=True)[0], actions)


def test_recurrent_memory_is_cleared_at_an_episodes_start(task):
    model = train(quick("RecurrentPPO"), **task)
    observation = observation_for(model, 2)
    first, memory = model.predict(observation, None, np.array([True, True]), True)
    second, _ = model.predict(observation, memory, np.array([True, False]), True)
    assert np.array_equal(second[0], first[0])
    assert not np.array_equal(second[1], first[1])


def test_updates_of_rollouts(task):
    seen = []
    train(quick(total_timesteps=96), seen.append, **task)
    assert [update.number for update in seen] == [1, 2, 3]
    assert [update.steps for update in seen] == [32, 64, 96]
    assert seen[0].seconds < seen[-1].seconds
    names = {"charts/episodic_return", "charts/accuracy", "charts/looks", "charts/SPS"}
    for update in seen:
        assert update.metrics.keys() == names
        assert update.metrics["charts/SPS"] == pytest.approx(update.steps / update.seconds)
        assert -1 <= update.metrics["charts/episodic_return"] <= 1
        assert update.metrics["charts/looks"] == 5
        assert (update.metrics["charts/accuracy"] * update.steps / 4) % 1 == pytest.approx(0)


def test_updates_off_policy_are_not_of_every_step(task):
    seen = []
    settings = {"learning_starts": 10_000}
    train(quick("DQN", total_timesteps=5000, num_envs=40, settings=settings), seen.append, **task)
    assert [update.steps for update in seen] == [4120, 5000]


@pytest.mark.parametrize("algorithm", ["PPO", "DQN"])
def test_a_time_limit_stops_it(task, algorithm):
    seen = []
    model = train(quick(algorithm, total_timesteps=10**7, max_seconds=0.5), seen.append, **task)
    assert 0.5 <= seen[-1].seconds < 30
    assert seen[-1].steps == model.num_timesteps


def test_callbacks_and_tensorboard_as_sb3_users_expect(task, tmp_path, monkeypatch):
    """A model of `train` is trained further as any of SB3 is."""
    monkeypatch.chdir(tmp_path)
    model = train(quick(settings={"tensorboard_log": "logs"}), **task)
    assert [*(tmp_path / "logs").rglob("events.out.tfevents.*")]
    held_out = VecMonitor(GlanceFocusVecEnv(4, **{**task, "dataset": random_dataset(8)}))
    files = {"best_model_save_path": "best", "log_path": "evaluations"}
    callback = EvalCallback(held_out, n_eval_episodes=8, eval_freq=8, verbose=0, **files)
    callbacks = [callback, CheckpointCallback(8, "checkpoints")]
    model.learn(128, callback=callbacks, reset_num_timesteps=False)
    assert model.num_timesteps == 256
    assert -1 <= callback.last_mean_reward <= 1
    assert -1 <= evaluate_policy(model, held_out, n_eval_episodes=8)[0] <= 1
    evaluations = np.load("evaluations/evaluations.npz")
    assert evaluations["results"].shape == evaluations["successes"].shape == (2, 8)
    saved = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in saved] == ["rl_model_192_steps.zip", "rl_model_256_steps.zip"]
    for path in (*saved, tmp_path / "best" / "best_model.zip"):
        assert isinstance(load_sb3(path), PPO)


def test_settings_are_merged_over_the_defaults(task):
    settings = {"gamma": 0.5, "policy_kwargs": {"net_arch": [5]}}
    model = train(quick(encoder="flat", settings=settings), **task)
    assert (model.gamma, model.gae_lambda) == (0.5, DEFAULTS["PPO"]["gae_lambda"])
    assert model.policy_kwargs["net_arch"] == [5]
    assert model.policy_kwargs["log_std_init"] == DEFAULTS["PPO"]["policy_kwargs"]["log_std_init"]
    assert isinstance(model.policy.features_extractor, GlanceFocusExtractor)
    assert not [*model.policy.features_extractor.parameters()]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "ppo"}, r"algorithm must be one of \['PPO'.*got 'ppo'"),
        ({"sees": ()}, "one or more different names"),
        ({"sees": ("label",)}, r"got \('label',\)"),
        ({"encoder": "mlp"}, "encoder must be 'conv' or 'flat', got 'mlp'"),
        ({"total_timesteps": 0}, "total_timesteps must be greater than 0, got 0"),
        ({"num_envs": 0}, "num_envs must be greater than 0, got 0"),
        ({"max_seconds": 0}, "max_seconds must be greater than 0, got 0"),
        ({"seed": -1}, "seed must be greater than or equal to 0, got -1"),
        ({"settings": {"buffer_size": 9}}, r"\['buffer_size'\], which PPO does not take"),
        ({"settings": {"seed": 9}}, r"\['seed'\].*choose from \['learning_rate'"),
        ({"algorithm": "SAC", "settings": {"n_epochs": 9}}, r"\['n_epochs'\], which SAC"),
    ],
    ids=str,
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SB3Config(**settings)


@pytest.mark.parametrize(
    ("algorithm", "arguments", "message"),
    [
        ("SAC", {"grid_size": 3}, r"SAC has continuous actions only; leave out grid_size.*'PPO'"),
        ("TD3", {"grid_size": 3}, "TD3 has continuous actions only"),
        ("DQN", {"lattice_stride": 4}, "DQN has grid actions only"),
        ("PPO", {"observe": ("step",)}, "observe follows from.*`sees`"),
        ("PPO", {"split": "nowhere", "dataset": "cluttered-digits"}, "nowhere"),
    ],
)
def test_impossible_tasks(task, algorithm, arguments, message):
    with pytest.raises(ValueError, match=message):
        train(quick(algorithm), **{**task, **arguments})


class OwnPolicy(MultiInputActorCriticPolicy):
    pass


@pytest.mark.parametrize(
    ("make", "home"),
    [
        (lambda env: TRPO("MultiInputPolicy", env, device="cpu"), "stable_baselines3.common"),
        (lambda env: TQC("MultiInputPolicy", env, buffer_size=9), "sb3_contrib.tqc"),
        (lambda env: PPO(OwnPolicy, env, device="cpu"), OwnPolicy.__module__),
    ],
    ids=["TRPO", "TQC", "own policy"],
)
def test_files_of_other_algorithms_are_refused(task, make, home, tmp_path):
    make(GlanceFocusVecEnv(2, **task)).save(tmp_path / "model")
    with pytest.raises(ValueError, match=rf"model.zip holds a policy of {home}.*none of \['PPO'"):
        load_sb3(tmp_path / "model")


def test_files_of_something_else_are_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("something", "else")
    for number, data in enumerate((b"{", b"[]", b"{}", b'{"policy_class": 3}', b"\xff")):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr("data", data)
    for path in tmp_path.glob("*.zip"):
        with pytest.raises(ValueError, match=r"\.zip is no file that Stable-Baselines3 saved"):
            load_sb3(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_sb3(tmp_path / "nowhere")


SMALL = {"learning_starts": 512, "gradient_steps": 4, "policy_kwargs": {"net_arch": [64, 64]}}
LEARNS = {
    "PPO": (20_000, {"n_steps": 6, "batch_size": 96, "learning_rate": 2e-3}),
    "A2C": (30_000, {"n_steps": 3, "learning_rate": 2e-3}),
    "RecurrentPPO": (12_000, {"n_steps": 6, "batch_size": 192, "learning_rate": 3e-3}),
    "DQN": (6_000, {**SMALL, "target_update_interval": 512}),
    "SAC": (8_000, {**SMALL, "learning_rate": 3e-3}),
    "TD3": (10_000, SMALL),
}


def after_learning(target_task, algorithm, share=1.0, *, stop=False, **toy):
    """Return the evaluation after this share of the usual steps."""
    steps, settings = LEARNS[algorithm]
    toy |= {"network": target_task.network, "dataset": target_task.dataset}
    if algorithm == "DQN":
        toy["grid_size"] = 3
    config = SB3Config(
        algorithm,
        int(share * steps),
        num_envs=64,
        sees=("features",),
        encoder="flat",
        settings=settings,
    )
    return gf_env.evaluate(train(config, **toy, stop=stop), **toy, num_images=500)


@pytest.mark.parametrize("algorithm", slow_but(("PPO", "DQN"), LEARNS))
def test_learns_a_toy_task(target_task, algorithm):
    found = after_learning(target_task, algorithm)
    assert found.accuracy[-1] > (0.85 if algorithm == "DQN" else 0.5)


@pytest.mark.parametrize(("algorithm", "share"), [("PPO", 0.3), ("DQN", 1)])
def test_looks_that_cost_nothing_are_not_saved(target_task, algorithm, share):
    """On the grid, which is learned sooner than locations are."""
    found = after_learning(target_task, algorithm, share, grid_size=3, stop=True)
    assert found.accuracy[-1] > 0.8
    assert (found.stopped & ~found.correct[:, -1]).mean() < 0.02


@pytest.mark.parametrize(
    ("algorithm", "share", "grid_size"),
    [("PPO", 0.25, None), slow("RecurrentPPO", 0.35, 3), ("DQN", 0.5, 3)],
)
def test_looks_that_cost_too_much_are_not_taken(target_task, algorithm, share, grid_size):
    toy = {"grid_size": grid_size, "stop": True, "look_cost": 1.0}
    assert after_learning(target_task, algorithm, share, **toy).mean_looks == 1


class Shuffled(GlanceFocusVecEnv):
    """Rewards go to other episodes than those that earned them."""

    def step_wait(self):
        observation, rewards, *others = super().step_wait()
        order = np.random.default_rng(0).permutation(self.num_envs)
        return observation, rewards[order], *others


@pytest.mark.parametrize("algorithm", [slow("PPO"), "DQN"])
def test_does_not_learn_from_shuffled_rewards(target_task, algorithm, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(learners, "GlanceFocusVecEnv", Shuffled)
    assert after_learning(target_task, algorithm).accuracy[-1] < 0.4


class Shown:
    """A model that is shown observations as a function makes them, whatever its environment is."""

    def __init__(self, model, shown):
        self.observation_space, self.action_space = model.observation_space, model.action_space
        self.predict = lambda observation, *rest, **more: model.predict(
            shown(observation), *rest, **more
        )


@pytest.mark.parametrize("norm_obs", [True, False])
def test_a_model_sees_what_it_was_trained_on(task, norm_obs, tmp_path):
    env = VecNormalize(GlanceFocusVecEnv(8, **task), norm_obs=norm_obs, gamma=0.7)
    model = PPO("MultiInputPolicy", env, **ON_POLICY, seed=0).learn(64)
    plain, normalised = (
        gf_env.evaluate(Shown(model, shown), **task).locations
        for shown in (lambda observation: observation, env.normalize_obs)
    )
    found = gf_env.evaluate(model, **task).locations
    assert np.array_equal(found, normalised)
    assert np.array_equal(found, plain) == (not norm_obs)
    never = StopWhenSure(model, np.full(5, np.inf))
    assert np.array_equal(gf_env.evaluate(never, **task).locations, normalised)
    images = task["dataset"].images(np.arange(20))
    sure = gf_env.AdaptiveClassifier(task["network"], model).classify(images).max_probability
    expected = gf_env.evaluate(model, **task).max_probability[:, -1]
    assert sure.numpy() == pytest.approx(expected, abs=1e-6)
    model.save(tmp_path / "model")
    env.save(tmp_path / "statistics.pkl")
    loaded = PPO.load(tmp_path / "model")
    loaded.set_env(VecNormalize.load(tmp_path / "statistics.pkl", GlanceFocusVecEnv(8, **task)))
    assert np.array_equal(gf_env.evaluate(loaded, **task).locations, normalised)
