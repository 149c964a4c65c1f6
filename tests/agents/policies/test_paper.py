import numpy as np
import pytest

from tests.agents.policies.made import observe, paper_policy


def test_samples_scatter_around_the_mean():
    policy, seen = paper_policy(), {"features": np.zeros_like(observe(4000)["features"])}
    mean, _ = policy.predict(seen, deterministic=True)
    sampled, _ = policy.predict(seen, deterministic=False)
    assert np.std(sampled - mean) == pytest.approx(0.2, abs=0.01)  # 0.1 of a location
