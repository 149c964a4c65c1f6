"""RLlib takes for granted that vector environments reset in the next step."""

import pytest

from gf_env.envs import checks

pytest.importorskip("ray.rllib")
pytestmark = [
    pytest.mark.rllib,
    pytest.mark.feature("RLlib", "ray", "`vector_entry_point` without `NextStep` is refused"),
]


def sample(**env_config):
    """Return the lengths of the episodes that one of RLlib's runners collects in this process."""
    from gymnasium.envs.registration import VectorizeMode
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.connectors.env_to_module import FlattenObservations
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    config = (
        PPOConfig()
        .environment("gf_env:GlanceFocus-v0", env_config={"split": "validation", **env_config})
        .env_runners(
            num_envs_per_env_runner=2,
            gym_env_vectorize_mode=VectorizeMode.VECTOR_ENTRY_POINT,
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
    )
    runner = SingleAgentEnvRunner(config=config)
    return {len(episode) for episode in runner.sample(num_episodes=8, random_actions=True)}


@pytest.mark.parametrize("mode", [{}, {"autoreset_mode": "SameStep"}])
def test_it_is_refused_when_it_is_made(mode):
    with pytest.raises(ValueError, match=r"RLlib takes environments that reset in the next step"):
        sample(**mode)


def test_what_is_refused_would_be_wrong_without_a_word(monkeypatch):
    assert sample(autoreset_mode="NextStep") == {4}
    monkeypatch.setattr(checks, "_RLLIB", "nobody")
    assert sample() == {3, 4}  # the first episode of each environment, and all others
