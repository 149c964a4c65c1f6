import pytest
import torch
from torch import nn

from gf_env.training.schedule import OptimiserConfig, make_optimiser, rate_share, set_rate


def test_rate_rises_then_falls_along_a_cosine():
    assert [rate_share(done, 0.2) for done in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx(
        [0.0, 0.5, 1.0, 0.5, 0.0]
    )


def shares(**changes):
    config = OptimiserConfig(epochs=2, learning_rate=0.1, **changes)
    encoder, classifier = nn.Linear(2, 2), nn.Linear(2, 2)
    optimiser = make_optimiser([encoder], [classifier], config)
    seen = [(set_rate(optimiser, config, step, 2), optimiser) for step in range(4)]
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx(
        [seen[-1][0] * 0.1, seen[-1][0] * config.classifier_learning_rate]
    )
    return [share for share, _ in seen]


def test_rates_of_every_step_and_of_every_epoch():
    half = (1 + 2**-0.5) / 2
    assert shares(warmup_fraction=0) == pytest.approx([1, half, 0.5, 1 - half])
    assert shares(warmup_fraction=0, anneal="epoch") == pytest.approx([1, 1, 0.5, 0.5])
    assert shares(warmup_fraction=0.5, anneal="epoch") == pytest.approx([0, 0.5, 1, 1])


def test_weights_that_are_frozen_are_left_out():
    encoder = nn.Linear(2, 2).requires_grad_(False)
    classifier = nn.Linear(2, 2)
    config = OptimiserConfig(epochs=1, learning_rate=0.1)
    optimiser = make_optimiser([encoder], [classifier], config)
    (group,) = optimiser.param_groups
    assert [p is q for p, q in zip(group["params"], classifier.parameters(), strict=True)]
    assert group["base_rate"] == config.classifier_learning_rate
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
    with pytest.raises(ValueError, match=field):
        OptimiserConfig(**{"epochs": 1, "learning_rate": 0.1, field: value})
