"""Policies for GlanceFocus: rules, upper bounds, the paper's policy, and the bridge to SB3."""

from __future__ import annotations

from agents.baselines import (
    CentreCornerPolicy,
    CentrePolicy,
    GaussianPolicy,
    NoRepeatRandomPolicy,
    RandomPolicy,
    RasterPolicy,
    SequencePolicy,
)
from agents.beam_search import BeamSearchOracle
from agents.belief import BeliefConfig, BeliefNetwork, BeliefPolicy
from agents.official import load_official_policy
from agents.oracle import GreedyOracle
from agents.patch_proposal import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from agents.policy import Policy, PrivilegedPolicy
from agents.recurrent_policy import (
    RecurrentPolicy,
    RecurrentPolicyConfig,
    RecurrentPolicyNetwork,
)
from agents.saliency import SaliencyPolicy

__all__ = [
    "BeamSearchOracle",
    "BeliefConfig",
    "BeliefNetwork",
    "BeliefPolicy",
    "CentreCornerPolicy",
    "CentrePolicy",
    "GaussianPolicy",
    "GreedyOracle",
    "NoRepeatRandomPolicy",
    "PaperPolicy",
    "PatchProposalConfig",
    "PatchProposalNetwork",
    "Policy",
    "PrivilegedPolicy",
    "RandomPolicy",
    "RasterPolicy",
    "RecurrentPolicy",
    "RecurrentPolicyConfig",
    "RecurrentPolicyNetwork",
    "SaliencyPolicy",
    "SequencePolicy",
    "load_official_policy",
]
