import numpy as np
import pytest
import torch

from gf_env import geometry
from gf_env.envs import episodes, rewards
from gf_env.envs.actions import Look
from gf_env.envs.episodes import Rules
from gf_env.envs.make_task import make_task
from gf_env.geometry import Lattice
from gf_env.network.glance_focus_net import Glimpse

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@pytest.fixture
def started(tiny_network, tiny_dataset):
    rules = Rules(5)
    images = tiny_dataset.images(np.arange(6))
    labels = torch.from_numpy(tiny_dataset.labels[:6])
    return tiny_network, rules, episodes.reset(tiny_network, rules, images, labels)


def places(count, seed=0):
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))


def test_return_is_the_whole_gain_in_confidence(started):
    network, rules, state = started
    first = episodes.readout(state).confidence
    total = torch.zeros(6)
    for number in range(4):
        state, reward, terminated = episodes.step(network, rules, state, Look(places(6, number)))
        total += reward
        assert terminated.tolist() == [number == 3] * 6
    assert torch.allclose(total, episodes.readout(state).confidence - first, atol=1e-6)
    assert state.step.tolist() == [5] * 6


def test_confidence_is_the_true_class(started):
    _, _, state = started
    readout = episodes.readout(state)
    for n in range(6):
        probabilities = torch.softmax(state.logits[n], 0)
        assert readout.confidence[n] == probabilities[state.labels[n]]
        assert readout.max_probability[n] == probabilities.max()
        assert readout.prediction[n] == probabilities.argmax()
        assert readout.correct[n] == (probabilities.argmax() == state.labels[n])


def test_step_changes_nothing_it_was_given(started):
    network, rules, state = started
    assert state.rows is None
    before = [value.clone() for value in state[:-1]]
    weights = [value.clone() for value in network.state_dict().values()]
    episodes.step(network, rules, state, Look(places(6)))
    assert all(map(torch.equal, before, state[:-1]))
    assert all(map(torch.equal, weights, network.state_dict().values()))


def test_locations_are_kept_in_order(started):
    network, rules, state = started
    assert state.locations.unique().tolist() == [0.5]
    state, _, _ = episodes.step(network, rules, state, Look(places(6, 1)))
    state, _, _ = episodes.step(network, rules, state, Look(places(6, 2)))
    assert torch.equal(state.locations[:, 0], places(6, 1))
    assert torch.equal(state.locations[:, 1], places(6, 2))
    assert state.locations[:, 2:].unique().tolist() == [0.5]


def test_looks_go_to_the_nearest_patch_of_a_lattice(started):
    network, rules, state = started
    lattice = Lattice(16, 8, (0, 3, 8))
    wanted = torch.tensor(
        [[0.0, 1.0], [0.13, 0.2], [0.5, 0.7], [0.9, 0.4], [1.0, 0.0], [0.69, 0.6]]
    )
    lines = torch.tensor([[0, 8], [0, 0], [3, 3], [8, 3], [8, 0], [3, 3]])
    on_lattice = Rules(5, lattice=lattice)
    found, gained, _ = episodes.step(network, on_lattice, state, Look(wanted))
    corners = geometry.corners(found.locations[:, 0], 16, 8)
    assert torch.equal(corners, lines)
    expected, rewards, _ = episodes.step(network, rules, state, Look((lines + 0.5) / 8))
    assert torch.allclose(found.features, expected.features, atol=1e-6)
    assert torch.allclose(gained, rewards, atol=1e-6)


def test_take_and_put(started):
    network, rules, state = started
    ahead, _, _ = episodes.step(network, rules, state, Look(places(6)))
    rows = torch.tensor([4, 1])
    mixed = state.put(rows, ahead.take(rows))
    assert mixed.step.tolist() == [1, 2, 1, 1, 2, 1]
    assert torch.equal(mixed.hidden[[1, 4]], ahead.hidden[[1, 4]])
    assert torch.equal(mixed.hidden[[0, 2, 3, 5]], state.hidden[[0, 2, 3, 5]])
    turned = torch.tensor([5, 4, 3, 2, 1, 0])
    assert torch.equal(state.put(turned, ahead.take(turned)).hidden, ahead.hidden)


def test_images_are_not_copied_when_episodes_are_taken(started):
    network, rules, state = started
    rows = torch.tensor([3, 0])
    taken = state.take(rows)
    assert taken.images is state.images
    assert torch.equal(taken.own_images(), state.images[rows])
    again = taken.take(torch.tensor([1]))
    assert torch.equal(again.own_images(), state.images[:1])
    looked, gained, _ = episodes.step(network, rules, taken, Look(places(2)))
    whole = torch.zeros(6, 2)
    whole[rows] = places(2)
    expected, rewards, _ = episodes.step(network, rules, state, Look(whole))
    assert torch.allclose(looked.logits, expected.logits[rows], atol=1e-5)
    assert torch.allclose(gained, rewards[rows], atol=1e-5)


def test_new_episodes_bring_their_images(started):
    network, rules, state = started
    new = episodes.reset(network, rules, 255 - state.images[:2], state.labels[:2])
    mixed = state.put(torch.tensor([5, 2]), new)
    assert torch.equal(mixed.images[[5, 2]], new.images)
    assert torch.equal(mixed.images[[0, 1, 3, 4]], state.images[[0, 1, 3, 4]])
    assert torch.equal(mixed.hidden[[5, 2]], new.hidden)


def test_new_episodes_on_shared_images_copy_none(started):
    network, rules, state = started
    shared, labels = state.images, state.labels
    first, second = torch.tensor([1, 3, 0]), torch.tensor([5, 3])
    running = episodes.reset(network, rules, shared, labels[first], first)
    new = episodes.reset(network, rules, shared, labels[second], second)
    assert torch.allclose(running.logits, state.logits[first], atol=1e-6)
    mixed = running.put(torch.tensor([2, 0]), new)
    assert mixed.images is shared
    assert mixed.rows.tolist() == [3, 3, 5]
    looked, _, _ = episodes.step(network, rules, mixed, Look(places(3)))
    alone = episodes.reset(network, rules, shared[mixed.rows], mixed.labels)
    expected, _, _ = episodes.step(network, rules, alone, Look(places(3)))
    assert torch.allclose(looked.logits, expected.logits, atol=1e-6)


def test_new_images_go_where_the_rows_say(started):
    network, rules, state = started
    running = state.take(torch.tensor([3, 1]))
    new = episodes.reset(network, rules, 255 - state.images[:1], state.labels[:1])
    mixed = running.put(torch.tensor([0]), new)
    assert mixed.rows.tolist() == [3, 1]
    assert torch.equal(mixed.own_images(), torch.stack([new.images[0], state.images[1]]))


def test_a_look_has_its_price(started):
    network, _, state = started
    _, gained, _ = episodes.step(network, Rules(5), state, Look(places(6)))
    _, rewards, _ = episodes.step(network, Rules(5, look_cost=0.25), state, Look(places(6)))
    assert torch.allclose(rewards, gained - 0.25)


def test_nothing_is_sure_without_thresholds(started):
    _, rules, state = started
    assert episodes.is_sure(rules, state).tolist() == [False] * 6


def test_episodes_of_the_same_images_join(started):
    _, _, state = started
    first, second = state.take(torch.tensor([4])), state.take(torch.tensor([0, 1]))
    joined = first.join(second)
    assert joined.images is state.images
    assert joined.rows.tolist() == [4, 0, 1]
    assert torch.equal(joined.logits, state.logits[[4, 0, 1]])
    for others in (state, second._replace(images=state.images.clone())):
        with pytest.raises(ValueError, match=r"^expected episodes that have rows, of the same im"):
            first.join(others)


def test_exits_at_the_threshold_or_above(started):
    network, rules, state = started
    after, _, _ = episodes.step(network, rules, state, Look(places(6)))
    largest = episodes.readout(after).max_probability
    median = float(largest.sort().values[3])
    exits = Rules(5, exit_thresholds=(0.0, median, 9.0, 9.0, 9.0))
    _, _, terminated = episodes.step(network, exits, state, Look(places(6)))
    assert torch.equal(terminated, largest >= median)
    assert 0 < terminated.sum() < 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence_length": 1}, "sequence_length must be greater than or equal to 2, got 1"),
        ({"sequence_length": 5, "reward": "gold"}, "unknown reward 'gold'.*confidence_gain"),
        ({"sequence_length": 5, "exit_thresholds": (0.9, 0.9)}, "each of 5 steps, got 2"),
        (
            {"sequence_length": 2, "exit_thresholds": (0.9, float("nan"))},
            "exit_thresholds.1 must be",
        ),
        ({"sequence_length": 5, "reward": "contrastive"}, "needs rivals"),
        ({"sequence_length": 5, "look_cost": -1e-9}, "look_cost must be greater .* 0, got -1e-09"),
        ({"sequence_length": 5, "look_cost": float("nan")}, "look_cost must be"),
    ],
)
def test_impossible_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rules(**arguments)


def test_rewards_by_hand():
    before = torch.log(torch.tensor([[0.6, 0.4], [0.9, 0.1]]))
    after = torch.log(torch.tensor([[0.2, 0.8], [0.8, 0.2]]))
    labels = torch.tensor([1, 0])
    gains = rewards.confidence_gain(before, after, labels)
    assert torch.allclose(gains, torch.tensor([0.4, -0.1]))
    decrease = rewards.cross_entropy_decrease(before, after, labels)
    assert torch.allclose(decrease, torch.tensor([2.0, 8 / 9]).log())
    assert rewards.correctness_gain(before, after, labels).tolist() == [1.0, 0.0]
    assert rewards.correctness_gain(after, before, labels).tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("bank", [False, True])
def test_a_contrastive_reward_compares_with_random_looks(tiny, bank):
    where = {"lattice_stride": 8, "feature_bank": True} if bank else {}
    task = make_task(**tiny, reward="contrastive", **where)
    state = task.start(np.array([3, 4, 5, 3]))
    assert len(task.rules.rivals) == 4  # 2 x 2 patches of 8 pixels cover 16
    chosen = torch.tensor([[0.0, 1.0], [0.3, 0.2], [1.0, 1.0], [0.0, 0.0]])
    after, reward, _ = task.step(state, Look(chosen))
    looks = [task.step(state, Look(corner.expand(4, 2)))[0] for corner in CORNERS]
    others = [episodes.readout(look).confidence for look in looks]
    expected = episodes.readout(after).confidence - torch.stack(others).mean(0)
    assert torch.allclose(reward, expected, atol=1e-6)
    assert (reward != 0).all()


def test_random_looks_are_at_the_images_of_rows(started):
    network, _, state = started
    rules, rows = Rules(5, reward="contrastive", rivals=Lattice.grid(2, 16, 8)), [4, 1]
    expected = episodes.random_look(network, rules, state)[rows]
    found = episodes.random_look(network, rules, state.take(torch.tensor(rows)))
    assert torch.allclose(found, expected, atol=1e-6)


def test_random_looks_are_as_good_as_their_mean_probability(started):
    """.9 and .1 are .5 in the mean; their geometric mean, as of mean logits, would be .3."""
    _, _, state = started

    class LeftOrRight:
        def focus(self, images, locations, hidden, rows):
            left = locations[:, :1] < 0.5
            logits = torch.where(left, torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])).log()
            return Glimpse(None, logits, hidden, None)

    rules = Rules(5, reward="contrastive", rivals=Lattice.grid(2, 16, 8))
    after = episodes.random_look(LeftOrRight(), rules, state)
    assert torch.allclose(after.exp(), torch.full((6, 2), 0.5))


def test_all_random_looks_together_earn_nothing_against_themselves(tiny):
    task = make_task(**tiny, reward="contrastive")
    state = task.start(np.arange(20))
    earned = [task.step(state, Look(corner.expand(20, 2)))[1] for corner in CORNERS]
    assert torch.stack(earned).mean(0).abs().max() < 1e-6
    assert torch.stack(earned).abs().max() > 1e-4
