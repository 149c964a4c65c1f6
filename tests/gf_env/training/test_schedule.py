import pytest
import torch
from torch import nn

from gf_env.training.schedule import (
    OptimiserConfig,
    load_optimiser,
    make_optimiser,
    make_schedule,
    rate_share,
)

HALF = (1 + 2**-0.5) / 2


def made(config):
    return make_optimiser([nn.Linear(2, 2)], [nn.Linear(2, 2)], config)


def rates(optimiser, config, start=0, steps_per_epoch=2):
    """The rates of both groups at every step from `start` on."""
    schedule = make_schedule(optimiser, config, steps_per_epoch, start)
    found = []
    for _ in range(start, config.epochs * steps_per_epoch):
        found.append([group["lr"] for group in optimiser.param_groups])
        assert found[-1] == schedule.get_last_lr()
        optimiser.step()
        schedule.step()
    return found


def test_rate_rises_then_falls_along_a_cosine():
    shares = [rate_share(done, 0.2) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert shares == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({"warmup_fraction": 0}, [1, HALF, 0.5, 1 - HALF]),
        ({"warmup_fraction": 0, "anneal": "epoch"}, [1, 1, 0.5, 0.5]),
        ({"warmup_fraction": 0.5, "anneal": "epoch"}, [0, 0.5, 1, 1]),
    ],
    ids=["step", "epoch", "epoch with a warm-up"],
)
def test_rates_of_every_step(changes, shares):
    config = OptimiserConfig(epochs=2, learning_rate=0.1, classifier_learning_rate=0.3, **changes)
    found = rates(made(config), config)
    assert found == [pytest.approx([share * 0.1, share * 0.3]) for share in shares]
    for start in range(1, 4):
        assert rates(made(config), config, start) == found[start:]


def test_rates_are_shares_of_the_initial_ones_to_the_last_digit():
    config = OptimiserConfig(epochs=7, learning_rate=0.07, classifier_learning_rate=0.3)
    shares = [rate_share(step / 77, 0.1) for step in range(77)]
    expected = [[share * 0.07, share * 0.3] for share in shares]
    assert rates(made(config), config, steps_per_epoch=11) == expected


def test_checkpoints_that_call_the_initial_rate_base_rate():
    config = OptimiserConfig(epochs=2, learning_rate=0.1)
    state = made(config).state_dict()
    for group in state["param_groups"]:
        group["base_rate"] = group.pop("initial_lr")
        group["lr"] = 0.007  # of the last step before the stop
    resumed = made(config)
    load_optimiser(resumed, state)
    assert rates(resumed, config, start=2) == rates(made(config), config)[2:]
    assert not any("base_rate" in group for group in resumed.state_dict()["param_groups"])


def test_weights_that_are_frozen_are_left_out():
    encoder = nn.Linear(2, 2).requires_grad_(False)
    classifier = nn.Linear(2, 2)
    config = OptimiserConfig(epochs=1, learning_rate=0.1)
    optimiser = make_optimiser([encoder], [classifier], config)
    (group,) = optimiser.param_groups
    assert [p is q for p, q in zip(group["params"], classifier.parameters(), strict=True)]
    assert group["initial_lr"] == config.classifier_learning_rate
    assert isinstance(optimiser, torch.optim.SGD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", -1),
        ("learning_rate", 0),
        ("classifier_learning_rate", -0.1),
        ("batch_size", 0),
        ("warmup_fraction", 1),
        ("anneal", "never"),
    ],
)
def test_impossible_schedules(field, value):
    with pytest.raises(ValueError, match=rf"OptimiserConfig: {field} must be .* got {value!r}"):
        OptimiserConfig(**{"epochs": 1, "learning_rate": 0.1, field: value})
