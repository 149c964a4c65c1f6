"""What every learner keeps to."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import agents
import gf_env
from agents.learners import imitation, paper_ppo, ppo, q_learning, reinforce
from agents.policies.recurrent_network import SEES
from gf_env.envs.make_task import make_task
from gf_env.envs.observations import EXTRA_OBSERVATIONS
from tests.agents.learners.toy import (
    EPISODIC,
    GRID,
    LEARNERS,
    LOCATIONS,
    LONG,
    RECURRENT,
    success,
    train,
)
from tests.helpers.slow import slow
from tests.helpers.tiny import random_dataset

ON_REWARDS = {
    "paper_ppo": "discounted_returns",
    "recurrent_ppo": "estimate_advantages",
    "reinforce": "returns_to_go",
    "q_learning": "td_targets",
    "map_q": "td_targets",
    "map_ppo": "estimate_advantages",
    "map_reinforce": "returns_to_go",
}
"""Learners from rewards, with the function that makes of rewards what is learned from."""
CHOOSERS = ("recurrent_ppo", "reinforce")
"""Those that take either kind of action and have an entropy bonus."""


def with_actions(names):
    """Return pairs of a learner and a kind of action that it takes."""
    return [
        pytest.param((name, grid_size), id=f"{name}-{'grid' if grid_size else 'locations'}")
        for name in names
        for grid_size in LEARNERS[name].actions
    ]


def with_stop(names):
    """Return the same with `stop`, of learners whose policies can."""
    return [
        pytest.param((*case.values[0], True), id=f"{case.id}-stop")
        for case in with_actions(names)
        if case.values[0][0] in EPISODIC
    ]


def bad(text, value):
    return [{name: value} for name in text.split()]


EPISODES = bad("epochs updates num_envs learning_rate max_seconds hidden_size", 0)
AN_ACTOR_CRITIC = [*EPISODES, *bad("max_grad_norm", 0)]
A_RECURRENT_POLICY = [
    *AN_ACTOR_CRITIC,
    *({"sees": sees} for sees in ((), "features", ("label",), ("step", "step"))),
]
A_MAP = [
    *AN_ACTOR_CRITIC,
    *bad("evidence_size", 0),
    *bad("query_size", -1),
    *bad("sees", ("step",)),
]
REWARDS = [*bad("vf_coef gamma", -1), *bad("gamma", 1.1)]
ENTROPY = bad("ent_coef final_ent_coef", -1)
A_WIDTH = bad("std final_std", 0)
PPO = [
    *REWARDS,
    *ENTROPY,
    *bad("update_epochs num_minibatches clip_range clip_range_vf", 0),
    *bad("gae_lambda", 1.1),
    *bad("weight_decay", -1),
]
IMITATION = [
    *bad("kept_batches gradient_steps temperature", 0),
    *bad("weight_decay beta", -1),
    *bad("beta beta_until", 1.1),
    *bad("loss", "hinge"),
]
Q_LEARNING = [
    *bad("kept_batches gradient_steps temperature", 0),
    *bad("weight_decay gamma target_rate", -1),
    *bad("gamma target_rate", 1.1),
]
IMPOSSIBLE = {
    "paper_ppo": [*EPISODES, *REWARDS, *bad("action_std", 0)],
    "recurrent_ppo": [*A_RECURRENT_POLICY, *A_WIDTH, *PPO, *bad("num_minibatches", 300)],
    "reinforce": [*A_RECURRENT_POLICY, *A_WIDTH, *REWARDS, *ENTROPY, *bad("baseline", "median")],
    "imitation": [*A_RECURRENT_POLICY, *IMITATION, *bad("feature_channels map_channels", -1)],
    "q_learning": [*A_RECURRENT_POLICY, *Q_LEARNING, *bad("feature_channels map_channels", -1)],
    "map_ppo": [*A_MAP, *PPO, *bad("num_minibatches", 1100)],
    "map_reinforce": [*A_MAP, *REWARDS, *ENTROPY, *bad("baseline", "median")],
    "map_q": [*A_MAP, *Q_LEARNING],
    "map_imitation": [*A_MAP, *IMITATION],
    "belief_search": [
        *bad("epochs batch_size learning_rate trust max_seconds places hidden_size", 0),
        *bad("weight_decay warmup_updates evidence_size reach margin", -1),
        *bad("margin", 0.5),
        *bad("dropout", 1.0),
    ],
}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param(name, settings, id=f"{name}-{settings}")
        for name, all_settings in IMPOSSIBLE.items()
        for settings in [*all_settings, {"learning_rate": math.nan}, {"nonsense": 1}]
    ],
)
def test_impossible_settings(name, settings):
    with pytest.raises(ValueError, match=f"Config: {next(iter(settings))}.*got") as error:
        LEARNERS[name].config(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("paper_ppo", {"updates": 3, "state_encoder": "flat"}),
        ("recurrent_ppo", {"sees": ("step", "glance"), "updates": 3, "clip_range_vf": 0.2}),
        ("reinforce", {"sees": ("step", "glance"), "updates": 3, "baseline": "none"}),
        ("imitation", {"sees": ("step", "glance"), "updates": 3, "map_channels": 0}),
        ("map_ppo", {"evidence_size": 8, "final_ent_coef": 0.1, "weight_decay": 0.1}),
        ("belief_search", {"margin": 0.25, "search_on": False}),
    ],
)
def test_the_configuration_survives_json(name, settings):
    config = LEARNERS[name].config(**settings)
    described = json.loads(json.dumps(dataclasses.asdict(config)))
    assert LEARNERS[name].config(**described) == config


@pytest.fixture(scope="module", params=[*with_actions(LEARNERS), *with_stop(LEARNERS)])
def short(request, toy):
    """Three updates, twice with the same seed and once with another."""
    name, grid_size, *stop = request.param
    task, settings = toy(grid_size, stop=any(stop)), {"updates": 3}
    if name == "belief_search":
        settings = {"epochs": 1, "batch_size": 700, "dropout": 0.5}  # of 2,000 images
    before = torch.random.get_rng_state()
    policy, updates = train(name, task, **settings)
    return SimpleNamespace(
        name=name,
        task=task,
        policy=policy,
        updates=updates,
        again=train(name, task, **settings)[0],
        other=train(name, task, **settings, seed=1)[0],
        kept_global_generator=torch.equal(torch.random.get_rng_state(), before),
    )


def test_same_seed_same_policy_to_the_last_digit(short):
    weights, again, other = (
        list(policy.network.parameters()) for policy in (short.policy, short.again, short.other)
    )
    assert all(map(torch.equal, weights, again))
    assert not all(map(torch.equal, weights, other))


def test_training_leaves_the_global_generator_alone(short):
    assert short.kept_global_generator


def test_updates_are_counted_timed_and_measured(short):
    assert [update.number for update in short.updates] == [1, 2, 3]
    steps = [64 * 3, 2 * 64 * 3, 3 * 64 * 3]
    if short.name == "belief_search":
        steps = [2000 * 9] * 3  # the looks that the oracle tried, before the first update
    assert [update.steps for update in short.updates] == steps
    seconds = [update.seconds for update in short.updates]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    on_grid = {"charts/std"} if short.task.actions.grid_size else set()
    expected = LEARNERS[short.name].metrics - on_grid | {"charts/SPS"}
    for update in short.updates:
        assert update.metrics.keys() == expected
        assert update.metrics["charts/SPS"] == pytest.approx(update.steps / update.seconds)


QUICK = {
    "belief_search": 0.65,
    "map_ppo": 0.75,
    "map_reinforce": 0.75,
    "map_q": 0.75,
    "map_imitation": 0.8,
}
"""What learners that soon know something may find after three updates."""


def test_three_updates_are_too_few(short):
    assert success(short.task, short.policy) < QUICK.get(short.name, 0.5)


def test_random_looks_are_too_few(toy):
    assert success(toy(LOCATIONS), agents.RandomPolicy()) < 0.5


LENGTHS = [({"epochs": 2}, 2, [5, 5]), ({"updates": 7}, 2, [5, 2]), ({"updates": 3}, 1, [3])]


@pytest.mark.parametrize(
    ("name", "learner", "settings"),
    [
        ("paper_ppo", paper_ppo.PaperLearner, {}),
        ("recurrent_ppo", ppo.PPOLearner, {"update_epochs": 1, "sees": ("step",)}),
        ("reinforce", reinforce.ReinforceLearner, {"sees": ("step",)}),
        ("q_learning", q_learning.QLearner, {"gradient_steps": 1}),
        ("imitation", imitation.ImitationLearner, {"gradient_steps": 1}),
        ("map_ppo", ppo.PPOLearner, {"update_epochs": 1}),
    ],
)
@pytest.mark.parametrize(("length", "epochs", "per_epoch"), LENGTHS)
def test_length_in_epochs_or_updates(toy, name, learner, settings, length, epochs, per_epoch):
    config = LEARNERS[name].config(num_envs=400, hidden_size=4, **settings, **length)
    made = learner(toy(LEARNERS[name].actions[-1]), config)
    assert (made.epochs, made.steps_per_epoch) == (epochs, 5)  # 2,000 images
    assert made.samples_per_step == 400 * 3
    assert [len(list(made.updates(epoch))) for epoch in range(epochs)] == per_epoch


@pytest.mark.parametrize("name", LEARNERS)
def test_a_time_limit_stops_after_an_update(toy, name):
    length = {"epochs": 10_000} if name == "belief_search" else {"updates": 10_000}
    _, seen = train(name, toy(LEARNERS[name].actions[-1]), **length, max_seconds=0.2)
    assert seen[-1].seconds >= 0.2 > ([0, *(update.seconds for update in seen)][-2])


def metrics_of(updates, name):
    return [update.metrics[name] for update in updates]


@pytest.mark.parametrize("name", EPISODIC)
def test_the_learning_rate_is_annealed_or_not(toy, name):
    task = toy(LEARNERS[name].actions[-1])
    _, seen = train(name, task, updates=4, learning_rate=0.4)
    assert metrics_of(seen, "charts/learning_rate") == pytest.approx([0.4, 0.3, 0.2, 0.1])
    _, seen = train(name, task, updates=2, learning_rate=0.4, anneal_lr=False)
    assert metrics_of(seen, "charts/learning_rate") == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize("name", CHOOSERS)
def test_the_width_is_led_or_learned(toy, name):
    _, seen = train(name, toy(LOCATIONS), updates=4, std=0.5, final_std=0.1)
    assert metrics_of(seen, "charts/std") == pytest.approx([0.5, 0.4, 0.3, 0.2])
    _, seen = train(name, toy(LOCATIONS), updates=2, final_std=None, ent_coef=1.0)
    assert seen[0].metrics["charts/std"] == pytest.approx(0.2)
    assert seen[1].metrics["charts/std"] != pytest.approx(0.2, rel=1e-4)


@pytest.mark.parametrize("case", with_actions([*CHOOSERS, "map_ppo", "map_reinforce"]))
def test_the_entropy_bonus_keeps_choices_open(toy, case):
    name, grid_size = case
    settings = {"updates": 8 if name.endswith("ppo") else 50}
    if name in RECURRENT:
        settings["final_std"] = None
    entropies = [
        train(name, toy(grid_size), **settings, ent_coef=weight)[1][-1].metrics["losses/entropy"]
        for weight in (0.0, 1.0)
    ]
    assert entropies[1] > entropies[0] + 0.01


@pytest.mark.parametrize(
    ("name", "grid_size", "settings", "least", "metrics"),
    [
        ("paper_ppo", LOCATIONS, {}, 0.75, {}),
        # seeds 0 to 4: 0.71 to 0.83
        ("recurrent_ppo", LOCATIONS, {}, 0.65, {"losses/explained_variance": 0.5}),
        slow("recurrent_ppo", LOCATIONS, {"ends_early": True}, 0.65, {}),
        slow("recurrent_ppo", GRID, {}, 0.8, {"losses/explained_variance": 0.5}),
        # seeds 0 to 4: 0.66 to 0.94
        slow("reinforce", LOCATIONS, {}, 0.6, {"losses/explained_variance": 0.4}),
        slow("reinforce", LOCATIONS, {"ends_early": True}, 0.6, {}),
        ("reinforce", GRID, {}, 0.6, {"losses/explained_variance": 0.4}),
        slow("reinforce", GRID, {"baseline": "batch_mean"}, 0.6, {}),
        slow("reinforce", GRID, {"baseline": "none"}, 0.6, {}),
        # seeds 0 to 4: 0.98 to 1, with the loss `expected` 0.92 to 1; untrained 0.39 to 0.43
        *(
            (slow if loss != imitation.ImitationConfig().loss else pytest.param)(
                "imitation", GRID, {"loss": loss}, 0.85, {"charts/agreement": 0.7}
            )
            for loss in imitation.LOSSES
        ),
        ("map_ppo", GRID, {}, 0.8, {"losses/explained_variance": 0.5}),
        ("map_reinforce", GRID, {}, 0.8, {}),
        # seeds 0 to 2, with the newest and the lowest versions: 0.96 to 1
        slow("q_learning", GRID, {}, 0.85, {"losses/explained_variance": 0.5}),
        ("map_q", GRID, {}, 0.8, {"losses/explained_variance": 0.5}),
        ("map_imitation", GRID, {}, 0.95, {"charts/agreement": 0.7}),
        ("belief_search", GRID, {}, 0.8, {}),
    ],
)
def test_learns_a_toy_task(toy, name, grid_size, settings, least, metrics):
    more = dict(settings)
    task = toy(grid_size, more.pop("ends_early", False))
    policy, seen = train(name, task, **LONG[name, grid_size], **more)
    assert success(task, policy) > least
    for metric, value in metrics.items():
        assert seen[-1].metrics[metric] > value


@pytest.mark.parametrize(
    ("name", "grid_size"),
    [
        slow("paper_ppo", LOCATIONS),
        slow("recurrent_ppo", LOCATIONS),
        ("map_ppo", GRID),
        slow("map_reinforce", GRID),
        slow("map_q", GRID),
        ("map_imitation", GRID),
        slow("belief_search", GRID),
    ],
)
def test_does_not_learn_what_belongs_to_others(toy, name, grid_size, monkeypatch):
    """The test above can fail: rewards or answers of other episodes teach nothing.

    Of each signal once, with the quickest policy, and of each kind of action. Seeds 0 to 4 of
    recurrent PPO get 0.15 to 0.24, of imitation 0.36 to 0.48.
    """
    generator = torch.Generator().manual_seed(0)

    def shuffled(values, axis):
        order = torch.randperm(values.shape[axis], generator=generator)
        return values.index_select(axis, order)

    if name in ON_REWARDS:
        module, function = LEARNERS[name].module, ON_REWARDS[name]
        true = getattr(module, function)
        monkeypatch.setattr(
            module, function, lambda rewards, *others: true(shuffled(rewards, 1), *others)
        )
    else:
        true = agents.GreedyOracle.confidences
        monkeypatch.setattr(
            agents.GreedyOracle,
            "confidences",
            lambda self, task, state: shuffled(true(self, task, state), 0),
        )
    misled, _ = train(name, toy(grid_size), **LONG[name, grid_size])
    assert success(toy(grid_size), misled) < (0.5 if name in ON_REWARDS else 0.6)


@pytest.mark.parametrize(
    "name", [name for name in LEARNERS if LOCATIONS not in LEARNERS[name].actions]
)
def test_learners_without_locations_need_a_grid(toy, name):
    with pytest.raises(ValueError, match=r"of a grid.*make it with grid_size"):
        train(name, toy(LOCATIONS))


@pytest.mark.parametrize(
    ("name", "place", "settings"),
    [
        *(
            (name, place, {"recurrent": False})
            for name in CHOOSERS
            for place in ({"grid_size": 3}, {"lattice_stride": 4})
        ),
        ("imitation", {"grid_size": 3}, {}),
        (
            "imitation",
            {"grid_size": 3},
            {"recurrent": True, "map_channels": 0, "repeats": True, "feature_channels": 5},
        ),
    ],
)
def test_a_feature_bank_and_everything_that_can_be_seen(tiny_network, name, place, settings):
    dataset = random_dataset(12)
    task = make_task(network=tiny_network, dataset=dataset, feature_bank=True, **place)
    policy, seen = train(name, task, updates=2, num_envs=8, sees=SEES, **settings)
    assert len(seen) == 2
    assert policy.observe == EXTRA_OBSERVATIONS
    assert policy.network.config.shapes.keys() == {*SEES}
    found = gf_env.evaluate(policy, network=tiny_network, dataset=dataset, **place)
    assert found.correct.shape == (12, task.rules.sequence_length)
    assert found.multiply_adds[-1] > sum(task.network.step_cost.steps)
    if "grid_size" in place:
        unsaid = gf_env.evaluate(policy, network=tiny_network, dataset=dataset)
        assert np.array_equal(unsaid.locations, found.locations)
