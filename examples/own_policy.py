"""Write a policy of your own and compare it with random patches on the same scenes.

The benchmark takes it by name: gf-env benchmark rules --policies examples.own_policy:BrightestCell
"""

import argparse

import numpy as np

import agents
import gf_env


class BrightestCell:
    """Looks where the glance's feature map is strongest, then at the next strongest cells.

    A policy needs `predict` and nothing else; `observe` asks for extra observation keys.
    """

    observe = ("glance", "step")

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """Return actions (n, 2) float32 in [-1, 1] and no memory."""
        strength = observation["glance"].max(axis=1)  # (n, h, w)
        count, height, width = strength.shape
        order = np.argsort(-strength.reshape(count, -1), axis=1)
        rank = observation["step"][:, 0].astype(int) - 1
        cell = order[np.arange(count), rank % order.shape[1]]
        # cells of a 3 x 3 map lie at -1, 0 and 1
        rows, cols = cell // width, cell % width
        places = np.stack([rows / (height - 1), cols / (width - 1)], axis=1)
        return (2 * places - 1).astype(np.float32), None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test-images", type=int, default=2000, help="test scenes")
    arguments = parser.parse_args()
    for policy in (agents.RandomPolicy(), BrightestCell()):
        result = gf_env.evaluate(policy, split="test", num_images=arguments.test_images)
        print(f"{type(policy).__name__}: {result.accuracy.round(3).tolist()}")
