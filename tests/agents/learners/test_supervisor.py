"""Trainings that are looked at, stopped and resumed, with every learner."""

import itertools
import math
import time

import pytest
import torch

from agents.learners.plateau import Plateau
from agents.learners.supervisor import CheckpointError, Found, Supervisor
from gf_env.storage.tensors import TensorFileError
from gf_env.training.checkpoints import load_state, save_state
from tests.agents.learners.toy import LEARNERS
from tests.helpers.slow import slow

LENGTH = {"updates": 4}
BELIEF_LENGTH = {"epochs": 2, "batch_size": 900, "dropout": 0.5}  # of 2,000 images


class Stop(Exception):
    """What kills a training."""


def train(name, task, supervisor, on_update=None, **settings):
    learner = LEARNERS[name]
    length = BELIEF_LENGTH if name == "belief_search" else LENGTH
    config = learner.config(**{**learner.quick, **length, **settings})
    return learner.module.train(task, config, on_update, supervisor)


def killed_after(count):
    """Stop a training after so many updates, before anything is written of the last."""

    def on_update(update):
        if update.number == count:
            raise Stop

    return on_update


def same_weights(left, right):
    pairs = zip(
        left.network.state_dict().values(), right.network.state_dict().values(), strict=True
    )
    return all(torch.equal(one, other) for one, other in pairs)


def score(policy):
    """A made-up return, which depends on the weights alone."""
    total = sum(value.double().sum().item() for value in policy.network.state_dict().values())
    return Found(math.sin(total), 0.5)


def everything(told):
    """Updates without what a clock says."""
    timed = {"charts/SPS"}
    return [
        (each.number, each.steps, {k: v for k, v in each.metrics.items() if k not in timed})
        for each in told
    ]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(
            (pytest.param if name.startswith("map") else slow)(name, {"num_envs": 16})
            for name in LEARNERS
            if name != "belief_search"
        ),
        ("belief_search", {}),
        ("reinforce", {"num_envs": 1000, "sees": ("step",)}),  # two updates in an epoch
    ],
)
def test_resumed_equals_uninterrupted_to_the_last_digit(toy, tmp_path, name, settings):
    task, file = toy(LEARNERS[name].actions[-1]), tmp_path / "checkpoint.safetensors"
    plateau, whole, parts = Plateau(validations=3, ends=False), [], []
    alone = train(name, task, None, **settings)
    watched = Supervisor(validate=score, plateau=plateau)
    uninterrupted = train(name, task, watched, whole.append, **settings)
    for stop in (2, 3):  # the second time it is a resumed training that is stopped
        with pytest.raises(Stop):
            supervisor = Supervisor(
                validate=score, plateau=plateau, checkpoint=file, seconds_between=0
            )
            train(name, task, supervisor, killed_after(stop), **settings)
    assert load_state(file)["learner"]["done"] == 2
    last = Supervisor(validate=score, plateau=plateau, checkpoint=file, seconds_between=0)
    resumed = train(name, task, last, parts.append, **settings)
    assert same_weights(resumed, uninterrupted)
    assert everything(parts) == everything(whole)
    assert [each[:2] + each[3:] for each in last.validations] == [
        each[:2] + each[3:] for each in watched.validations
    ]
    assert last.seconds_before > 0
    best = max(watched.validations, key=lambda each: each.mean_return)
    # whoever looks on changes nothing, and the best is what is kept
    assert same_weights(alone, uninterrupted) == (best.at == 1)
    assert score(uninterrupted).mean_return == pytest.approx(best.mean_return)


def test_validations_are_evenly_spread(toy):
    supervisor = Supervisor(validate=score, plateau=Plateau(validations=4, ends=False))
    train("map_reinforce", toy(3), supervisor, updates=8)
    assert [each.at for each in supervisor.validations] == [0.25, 0.5, 0.75, 1]
    assert [each.steps for each in supervisor.validations] == [384, 768, 1152, 1536]
    seconds = [each.seconds for each in supervisor.validations]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(("ends", "updates"), [(True, 3), (False, 10)])
def test_a_flat_curve_ends_a_training_or_not(toy, ends, updates):
    seen = []
    supervisor = Supervisor(
        validate=lambda policy: Found(0.0, 0.5), plateau=Plateau(validations=10, ends=ends)
    )
    train("map_reinforce", toy(3), supervisor, seen.append, updates=10)
    assert len(seen) == updates
    assert supervisor.at_plateau


def test_a_training_that_has_ended_is_not_continued(toy, tmp_path):
    def supervisor():
        return Supervisor(
            validate=lambda policy: Found(0.0, 0.5),
            plateau=Plateau(validations=10),
            checkpoint=tmp_path / "checkpoint.safetensors",
            seconds_between=0,
        )

    first, again = [], []
    ended = train("map_reinforce", toy(3), supervisor(), first.append, updates=10)
    assert same_weights(
        train("map_reinforce", toy(3), supervisor(), again.append, updates=10), ended
    )
    assert again == first


def test_without_validation_there_is_no_plateau(toy):
    supervisor = Supervisor()
    train("map_reinforce", toy(3), supervisor)
    assert supervisor.validations == []
    assert supervisor.at_plateau is None


def test_time_to_validate_is_not_time_to_learn(toy, monkeypatch):
    """Each look at the clock takes a second, and each validation a hundred."""
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))

    def validate(policy):
        for _ in range(100):
            next(clock)
        return score(policy)

    seen = []
    supervisor = Supervisor(validate=validate, plateau=Plateau(validations=3, ends=False))
    train("paper_ppo", toy(None), supervisor, seen.append, updates=3, max_seconds=50)
    assert [each.number for each in seen] == [1, 2, 3]
    assert 300 < supervisor.seconds_beside < 310


@pytest.mark.parametrize(
    ("changes", "grid_size", "message"),
    [
        ({"gamma": 0.9}, 3, "its gamma was 0.7 and is now 0.9"),
        (
            {"seed": 1, "updates": 5},
            3,
            "its updates was 4 and is now 5; its seed was 0 and is now 1",
        ),
        ({}, None, r'its actions was "Discrete\(9\)" and is now "Box'),
    ],
)
def test_a_training_of_other_settings_is_refused(toy, tmp_path, changes, grid_size, message):
    file = tmp_path / "checkpoint.safetensors"
    train("reinforce", toy(3), Supervisor(checkpoint=file, seconds_between=0))
    with pytest.raises(CheckpointError, match=f"checkpoint.*is of another training: {message}"):
        train("reinforce", toy(grid_size), Supervisor(checkpoint=file), **changes)


def test_how_long_it_may_take_may_change(toy, tmp_path):
    file, seen = tmp_path / "checkpoint.safetensors", []
    short = Supervisor(checkpoint=file, seconds_between=0)
    train("reinforce", toy(3), short, max_seconds=1e-6)
    train("reinforce", toy(3), Supervisor(checkpoint=file), seen.append)
    assert [each.number for each in seen] == [1, 2, 3, 4]


def test_what_is_no_checkpoint_of_a_learner(toy, tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    save_state(file, {"about": {}, "nothing": 1})
    with pytest.raises(CheckpointError, match=r"is of another training: its learner was null"):
        train("reinforce", toy(3), Supervisor(checkpoint=file))
    file.write_bytes(b"damaged")
    with pytest.raises(TensorFileError, match="checkpoint"):
        train("reinforce", toy(3), Supervisor(checkpoint=file))


def test_steps_are_a_length_too(toy):
    seen = []
    train("reinforce", toy(3), None, seen.append, updates=None, steps=400)
    assert [each.steps for each in seen] == [192, 384, 576]  # 64 episodes of three looks
    with pytest.raises(ValueError, match="steps must be left out where updates are given"):
        train("reinforce", toy(3), None, updates=2, steps=400)
