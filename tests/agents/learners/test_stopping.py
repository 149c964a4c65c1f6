"""When to stop, learned from rewards by regression."""

import numpy as np
import pytest
import torch

import agents
import gf_env
from agents.learners import stopping
from agents.learners.supervisor import Supervisor
from agents.policies.learned_stopping import StopConfig, StopNetwork
from agents.registry.learners import get_learner, make_config
from gf_env.envs.make_task import make_task
from tests.agents.policies.made import seeded


class Seeker:
    """Looks at the bright pixel with the look of a given number, and at the far corner before."""

    observe = ("step", "glance")

    def __init__(self, look):
        self._look = look

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        count = len(observation["step"])
        place = observation["glance"].reshape(count, -1).argmax(1)
        target = np.stack([place // 8, place % 8], axis=1) / 7 * 2 - 1
        now = observation["step"] >= self._look
        return np.where(now, target, -np.sign(target)).astype(np.float32), None


def trained(task, price, policy, **settings):
    arguments = {"network": task.network, "dataset": task.dataset, "look_cost": price}
    config = stopping.StoppingConfig(**{"epochs": 10, "learning_rate": 3e-3, **settings})
    return stopping.train(make_task(**arguments), policy, config), arguments


@pytest.mark.parametrize(
    ("price", "look", "looks"),
    [
        # found with the first look, and sure of it: more looks gain nothing
        (0.05, 1, 2),
        # found with the second: the first gains nothing, but is worth what comes after it
        (0.05, 2, 3),
        # two looks cost more than they gain, one does not
        (0.3, 2, 1),
        (0.3, 1, 2),
        (1.0, 1, 1),
    ],
)
def test_it_stops_where_looking_no_longer_pays(target_task, price, look, looks):
    policy, arguments = trained(target_task, price, Seeker(look))
    found = gf_env.evaluate(policy, split="train", num_images=300, **arguments)
    assert abs(found.mean_looks - looks) < 0.15


@pytest.mark.parametrize("look", [1, 2])
def test_without_a_price_it_loses_nothing(target_task, look):
    policy, arguments = trained(target_task, 0.0, Seeker(look))
    found, full = (
        gf_env.evaluate(each, split="train", num_images=500, **arguments)
        for each in (policy, Seeker(look))
    )
    assert found.mean_return > full.mean_return - 0.005
    assert full.mean_return > 0.3


def test_targets_are_earned_as_later_networks_stop():
    """Two looks: the second gains .5 in half of the episodes, which the state tells."""
    state = torch.tensor([0.0, 1.0]).repeat(200)
    seen = {"hidden_state": state[None, :, None].expand(2, -1, 1)}
    gains = torch.stack([torch.zeros(400), state / 2])
    network = seeded(lambda: StopNetwork(StopConfig({"hidden_state": (1,)}, 2, hidden_size=16)))
    config = stopping.StoppingConfig(epochs=60, learning_rate=1e-2)
    for _ in stopping.updates(network, seen, gains - 0.2, config):
        pass
    worth = [network.eval()(torch.tensor([[0.0], [1.0]]), torch.tensor([t, t])) for t in (1, 2)]
    # after the glance: a look for nothing, then stop; or two looks that gain .5 together
    torch.testing.assert_close(worth[0], torch.tensor([-0.2, 0.1]), atol=0.02, rtol=0)
    torch.testing.assert_close(worth[1], torch.tensor([-0.2, 0.3]), atol=0.02, rtol=0)


def test_seeds_repeat(target_task):
    first, again, other = (
        trained(target_task, 0.1, Seeker(1), epochs=1, seed=seed)[0].network.state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_by_name_where_to_look_is_learned_first(target_task):
    """The policy is the one that its learner makes alone, and the price is the task's."""
    where = {"places": 8, "hidden_size": 16, "evidence_size": 0, "epochs": 1}
    learner = get_learner("stopping")
    config = make_config(learner, "stopping", {"epochs": 1, "where_settings": where}, 3)
    task = {"network": target_task.network, "dataset": target_task.dataset, "grid_size": 3}
    taught = {**task, "network": taught_network(target_task.network)}
    seen = []
    policy = learner.train({**taught, "stop": True, "look_cost": 1.0}, config, seen.append)
    assert isinstance(policy, agents.LearnedStopping)
    alone = get_learner("belief")
    config = make_config(alone, "belief", where, 3)
    expected = alone.train(taught, config, None).network.state_dict()
    found = policy.policy.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    numbers = [each.number for each in seen]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert [each.steps for each in seen] == sorted(each.steps for each in seen)
    assert any("losses/after_the_glance" in each.metrics for each in seen)
    assert "losses/explained_variance" in seen[-1].metrics


def taught_network(network):
    from tests.agents.learners.toy import TaughtNetwork

    return TaughtNetwork(network.config).eval()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"where": "nobody"}, "unknown learner 'nobody'"),
        ({"where_settings": {"places": 0}}, "places"),
        ({"sees": ("label",)}, "sees takes"),
        ({"epochs": 0}, "epochs"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        make_config(get_learner("stopping"), "stopping", settings, 0)


def test_a_policy_that_stops_is_refused(target_task):
    with pytest.raises(ValueError, match="already stops"):
        trained(target_task, 0.1, agents.StopWhenSure(agents.CentrePolicy(), 0.5))


def test_what_was_stopped_while_it_learned_where_to_look_is_resumed(target_task, tmp_path):
    where = {"places": 8, "hidden_size": 16, "evidence_size": 0, "epochs": 1}
    learner, file = get_learner("stopping"), tmp_path / "checkpoint.safetensors"
    config = make_config(learner, "stopping", {"epochs": 1, "where_settings": where}, 3)
    taught = {
        "network": taught_network(target_task.network),
        "dataset": target_task.dataset,
        "grid_size": 3,
        "look_cost": 1.0,
    }
    whole, told = [], []
    expected = learner.train(taught, config, whole.append)

    def killed(update):
        if update.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.train(taught, config, killed, Supervisor(checkpoint=file, seconds_between=0))
    found = learner.train(taught, config, told.append, Supervisor(checkpoint=file))
    weights, others = (each.network.state_dict() for each in (found, expected))
    assert all(torch.equal(weights[name], others[name]) for name in others)
    assert [each.number for each in told] == [each.number for each in whole]
