"""Networks and policies by what a user calls them: built-in names, our files, the release's."""

from __future__ import annotations

from agents.official import load_official_policy
from agents.patch_proposal import PaperPolicy
from gf_env.network import GlanceFocusNet, load_network
from gf_env.official import load_official_checkpoint

OFFICIAL_SUFFIXES = (".pth.tar", ".pth", ".pt")


def is_official(name: str) -> bool:
    """Whether a name is that of a checkpoint of the paper's release, by its ending."""
    return name.endswith(OFFICIAL_SUFFIXES)


def open_network(name: str, device: str = "cpu") -> GlanceFocusNet:
    """Return a network by its built-in name or file, ours or the release's.

    Raises:
        ValueError: neither a built-in name nor a file.
        TensorFileError: a damaged file, or one that holds something else.
    """
    if is_official(name):
        return load_official_checkpoint(name, device=device)
    return load_network(name, device)


def open_policy(name: str) -> PaperPolicy:
    """Return a paper's policy by its built-in name or file, ours or the release's.

    Raises:
        TensorFileError: a damaged file, or one that holds something else.
    """
    return load_official_policy(name) if is_official(name) else PaperPolicy.load(name)
