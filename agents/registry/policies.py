"""Policies by name: rules, upper bounds, trained files, and the user's own.

The benchmark and the command line find policies by the names here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agents.policies import rules
from agents.policies.base import Policy, PrivilegedPolicy
from agents.policies.beam_search import BeamSearchOracle
from agents.policies.oracle import GreedyOracle
from agents.policies.planner import ObjectPolicy
from agents.policies.saliency import SaliencyPolicy
from agents.registry.files import load_policy
from gf_env.import_paths import call_with, is_module_path, load_object
from gf_env.network.glance_focus_net import GlanceFocusNet

RULES: Mapping[str, Callable[..., Policy]] = {
    "random": rules.RandomPolicy,
    "no-repeat-random": rules.NoRepeatRandomPolicy,
    "gaussian": rules.GaussianPolicy,
    "centre": rules.CentrePolicy,
    "centre-corner": rules.CentreCornerPolicy,
    "raster": rules.RasterPolicy,
    "cover": rules.CoverPolicy,
    "saliency": SaliencyPolicy,
}
"""Rules without learning and without labels."""

BOUNDS: Mapping[str, Callable[..., PrivilegedPolicy]] = {
    "greedy-oracle": GreedyOracle,
    "beam-search-oracle": BeamSearchOracle,
    "planner": partial(ObjectPolicy, order="needed"),
    "digits-only": partial(ObjectPolicy, order="without-first"),
    "wrong-order": partial(ObjectPolicy, order="needed-reversed"),
    "one-object": partial(ObjectPolicy, order="first-only"),
}
"""Upper bounds, which see labels, and planners and their foils, which see where objects are."""


def check_policy(name: str) -> None:
    """Check that a name is a policy's as far as can be told without a network and settings.

    Raises:
        ValueError: an unknown name, or a module that cannot be imported.
        TensorFileError: a damaged file, or one that holds something else.
    """
    if is_module_path(name):
        load_object(name)
    elif name not in RULES and name not in BOUNDS:
        load_policy(name)


def make_policy(
    name: str,
    *,
    network: GlanceFocusNet,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    trust_sb3: bool = False,
) -> Policy | PrivilegedPolicy:
    """Return a policy by its name.

    Args:
        name: one of `RULES` or `BOUNDS`; `package.module:Name`, which is a policy, or a class or
            function that returns one; or what `agents.registry.files.load_policy` opens.
        network: for those that take one.
        seed: likewise.
        settings: further arguments; files take none.
        trust_sb3: see `agents.registry.files.load_policy`.

    Raises:
        ValueError: an unknown name or settings that do not fit.
        TypeError: what was named is no policy.
        TensorFileError: a damaged file, or one that holds something else.
    """
    made = RULES.get(name) or BOUNDS.get(name)
    settings = {} if settings is None else settings
    if made is None and is_module_path(name):
        found = load_object(name)
        made = found if callable(found) else lambda: found
    if made is None:
        if settings:
            raise ValueError(f"policy {name!r} takes no settings, got {dict(settings)}")
        return load_policy(name, trust_sb3=trust_sb3)
    policy = call_with(made, settings, {"network": network, "seed": seed})
    if not isinstance(policy, (Policy, PrivilegedPolicy)):
        raise TypeError(
            f"{name} gave {type(policy).__name__}, which is no policy: it needs a method "
            "predict(observation, state, episode_start, deterministic)"
        )
    return policy
