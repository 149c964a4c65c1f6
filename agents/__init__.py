"""Policies for GlanceFocus: rules, upper bounds, the paper's policy, and the bridge to SB3."""

from __future__ import annotations

from agents.baselines import (
    CentreCornerPolicy,
    CentrePolicy,
    GaussianPolicy,
    RandomPolicy,
    SequencePolicy,
)
from agents.official import load_official_policy
from agents.oracle import GreedyOracle
from agents.patch_proposal import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.policy import Policy, PrivilegedPolicy
from agents.recurrent_policy import (
    RecurrentPolicy,
    RecurrentPolicyConfig,
    RecurrentPolicyNetwork,
)

__all__ = [
    "CentreCornerPolicy",
    "CentrePolicy",
    "GaussianPolicy",
    "GreedyOracle",
    "PaperPolicy",
    "PatchProposalConfig",
    "PatchProposalNetwork",
    "Policy",
    "PrivilegedPolicy",
    "RandomPolicy",
    "RecurrentPolicy",
    "RecurrentPolicyConfig",
    "RecurrentPolicyNetwork",
    "SequencePolicy",
    "load_official_policy",
]
