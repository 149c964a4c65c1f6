"""The recurrent network as a `Policy`."""

from agents.policies.actor_critic import ActorCriticPolicy
from agents.policies.recurrent_network import RecurrentPolicyConfig, RecurrentPolicyNetwork

FILE_KIND = "agents.RecurrentPolicy.v1"


class RecurrentPolicy(ActorCriticPolicy[RecurrentPolicyNetwork]):
    """The recurrent network as a `Policy`; its state is `RecurrentPolicyNetwork.initial_state`'s.

    Args:
        network: trained or not.
        seed: of the generator for samples.
    """

    file_kind = FILE_KIND
    network_class = RecurrentPolicyNetwork
    config_class = RecurrentPolicyConfig
