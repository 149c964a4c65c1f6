"""All policies that are a network, by the kind of their files."""

from collections.abc import Mapping
from typing import Any

from agents.policies.belief_search import BeliefPolicy
from agents.policies.map_policy import MapPolicy
from agents.policies.network_policy import NetworkPolicy
from agents.policies.paper import PaperPolicy
from agents.policies.recurrent import RecurrentPolicy

NETWORK_POLICIES: Mapping[str, type[NetworkPolicy[Any]]] = {
    each.file_kind: each for each in (BeliefPolicy, MapPolicy, PaperPolicy, RecurrentPolicy)
}
