"""What is learned from and what is trained are separate choices."""

import dataclasses

import pytest

from agents.learners.architectures.map import Map
from agents.learners.ppo import PPOSettings
from agents.registry.learners import ARCHITECTURES, FROM_EPISODES, LEARNERS
from tests.agents.learners.toy import GRID


def names(settings):
    return {field.name for field in dataclasses.fields(settings)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("learner", FROM_EPISODES)
def test_every_learner_has_every_architecture(learner, architecture):
    settings, _ = FROM_EPISODES[learner]
    made = ARCHITECTURES[architecture]
    assert not names(settings) & names(made)  # or one setting would be of two things
    config = LEARNERS[f"{architecture}-{learner}"].config
    assert names(config) == names(settings) | names(made)
    suiting = {name: value for name, value in made.suits.items() if name in names(settings)}
    assert suiting.items() <= dataclasses.asdict(config()).items()
    with pytest.raises(ValueError, match="speed"):
        config(speed=1)


def test_components_are_no_more_than_features_have_numbers(toy):
    policy = Map().new_policy(toy(GRID), seed=0)
    channels, height, width = policy.network.config.feature_shape
    assert policy.network.config.components == channels * height * width < Map().components


def test_learners_without_an_architecture_cannot_make_policies(toy):
    with pytest.raises(NotImplementedError):
        PPOSettings().new_policy(toy(GRID), seed=0)
