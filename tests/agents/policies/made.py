"""Every policy, made small, and observations for them."""

import numpy as np
import torch

import agents
from agents.policies.belief_search import BeliefConfig, BeliefNetwork, BeliefPolicy
from gf_env.geometry import action_to_location, corners
from gf_env.network.glance_focus_net import GlanceFocusNet
from tests.helpers.tiny import tiny_config

SHAPES = {"features": (4, 2, 2), "hidden_state": (6,), "locations": (3, 2)}
MAPPED = {**SHAPES, "step": (1,)}
"""What a policy sees that draws a map."""
PAPER = agents.PatchProposalConfig((4, 2, 2), state_encoder="flat", hidden_size=8)
BELIEF = BeliefConfig(
    **{"feature_shape": (4, 2, 2), "image_size": 32, "patch_size": 16, "grid_size": 3},
    **{"places": 4, "margin": 0.0, "hidden_size": 8, "evidence_size": 16},
)


MAP = {
    **{"feature_shape": (4, 2, 2), "state_size": 6, "decisions": 3, "grid_size": 3},
    **{"components": 0, "hidden_size": 8, "evidence_size": 16},
}


def seeded(make):
    """Make something with weights, whose layers begin as they always do here."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def recurrent_policy(shapes=SHAPES, *, seed=0, **settings):
    config = agents.RecurrentPolicyConfig(shapes, **{"hidden_size": 16, **settings})
    network = seeded(lambda: agents.RecurrentPolicyNetwork(config))
    # heads begin small; here they are to make a difference
    for head in network.actor.modules():
        if isinstance(head, torch.nn.Linear):
            seeded(lambda weight=head.weight: torch.nn.init.normal_(weight))
    return agents.RecurrentPolicy(network, seed)


def paper_policy(seed=0, config=PAPER):
    return agents.PaperPolicy(seeded(lambda: agents.PatchProposalNetwork(config)), seed)


def belief_policy(seed=0, config=BELIEF):
    return BeliefPolicy(seeded(lambda: BeliefNetwork(config)), seed)


def network_for_rules(image_size=96, patch_size=24):
    config = tiny_config(image_size=image_size, patch_size=patch_size)
    return seeded(lambda: GlanceFocusNet(config)).eval()


def map_policy(seed=0, **settings):
    config = agents.MapConfig(**{**MAP, **settings})
    network = seeded(lambda: agents.MapNetwork(config))
    # the map is blank at first; here it is not
    for each in network.parameters():
        seeded(lambda weight=each: torch.nn.init.normal_(weight))
    return agents.MapPolicy(network, seed)


NETWORKS = {
    "paper": paper_policy,
    "recurrent": recurrent_policy,
    "recurrent-grid": lambda seed=0: recurrent_policy(
        MAPPED, seed=seed, grid_size=3, map_channels=2, feature_channels=0
    ),
    "recurrent-stop": lambda seed=0: recurrent_policy(seed=seed, stop=True),
    "recurrent-grid-stop": lambda seed=0: recurrent_policy(seed=seed, grid_size=3, stop=True),
    "recurrent-without-gru": lambda seed=0: recurrent_policy(seed=seed, recurrent=False, std=0.05),
    "belief": belief_policy,
    "map": map_policy,
    "map-components-query-stop": lambda seed=0: map_policy(
        seed, components=5, query_size=2, stop=True
    ),
}
"""Policies that are a network, each made with a seed."""
RULES = {
    "random": agents.RandomPolicy,
    "gaussian": lambda seed=0: agents.GaussianPolicy(seed=seed),
    "no-repeat": lambda seed=0: agents.NoRepeatRandomPolicy(3, seed),
    "centre": agents.CentrePolicy,
    "centre-corner": agents.CentreCornerPolicy,
    "raster": agents.RasterPolicy,
    "cover": lambda: agents.CoverPolicy(network_for_rules()),
    "saliency": lambda: agents.SaliencyPolicy(network_for_rules()),
}
RANDOM_RULES = ("random", "gaussian", "no-repeat")


def observe(count, seed=0):
    """Return what all these policies but the saliency rule see of so many episodes."""
    rng = np.random.default_rng(seed)
    shapes = {**MAPPED, "glance": (4, 2, 2)}
    seen = {name: rng.random((count, *shape), np.float32) for name, shape in shapes.items()}
    return {**seen, "step": np.full((count, 1), 2, np.float32)}


def observe_for(name, count):
    glance = {"glance": np.random.default_rng(1).random((count, 128, 3, 3), np.float32)}
    return {**observe(count), **(glance if name == "saliency" else {})}


def play(policy, seen, looks):
    """Return actions (looks, n, ...) of whole episodes that always show the same, and the state."""
    taken, state = [], None
    for look in range(looks):
        starts = np.full(len(seen["hidden_state"]), look == 0)
        actions, state = policy.predict(seen, state, starts, deterministic=True)
        taken.append(actions)
    return np.array(taken), state


def patch_corners(actions, image_size=96, patch_size=24):
    locations = action_to_location(torch.as_tensor(actions))
    return corners(locations, image_size, patch_size).tolist()
